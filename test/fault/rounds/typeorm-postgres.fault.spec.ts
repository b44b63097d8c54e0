import { describeFaults, describeFaultsOf } from '../describe-faults';
import { typeormPostgresSubject } from '../subjects/typeorm.subject';

describeFaults(typeormPostgresSubject);
describeFaultsOf(typeormPostgresSubject, 'when nothing happens', []);
