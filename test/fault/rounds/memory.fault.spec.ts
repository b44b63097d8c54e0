import { describeFaults } from '../describe-faults';
import { memorySubject } from '../subjects/memory.subject';

describeFaults(memorySubject);
