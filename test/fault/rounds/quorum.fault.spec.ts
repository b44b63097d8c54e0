import { describeFaults, describeFaultsOf } from '../describe-faults';
import { quorumSubject } from '../subjects/quorum.subject';

describeFaults(quorumSubject);
describeFaultsOf(quorumSubject, 'when nodes restart', ['restart-keep', 'freeze', 'leave']);
describeFaultsOf(quorumSubject, 'when nothing happens', []);
