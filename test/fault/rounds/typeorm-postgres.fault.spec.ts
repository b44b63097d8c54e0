import { describeFaults } from '../describe-faults';
import { typeormPostgresSubject } from '../subjects/typeorm.subject';

describeFaults(typeormPostgresSubject);
