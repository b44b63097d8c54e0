import { provideServer } from '../../support/servers/provide-servers';
import { describeFaults, describeFaultsOf } from '../describe-faults';
import { typeormMariadbSubject } from '../subjects/typeorm.subject';

beforeAll(() => provideServer('mariadb', { say: (line) => console.log(line) }), 300_000);

describeFaults(typeormMariadbSubject);
describeFaultsOf(typeormMariadbSubject, 'when nothing happens', []);
