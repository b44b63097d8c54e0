import { provideServer } from '../../support/servers/provide-servers';
import { describeFaults } from '../describe-faults';
import { typeormMariadbSubject } from '../subjects/typeorm.subject';

beforeAll(() => provideServer('mariadb', { say: (line) => console.log(line) }), 300_000);

describeFaults(typeormMariadbSubject);
