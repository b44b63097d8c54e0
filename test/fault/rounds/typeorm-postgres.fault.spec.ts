import { describeFaults } from '../describe-faults';
import { typeormPostgresSubject } from '../subjects/typeorm-postgres.subject';

describeFaults(typeormPostgresSubject);
