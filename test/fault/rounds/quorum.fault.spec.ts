import { describeFaults } from '../describe-faults';
import { quorumSubject } from '../subjects/quorum.subject';

describeFaults(quorumSubject);
