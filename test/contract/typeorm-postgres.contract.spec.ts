import { describeLockStrategy } from 'nestjs-distributed-lock/testing';
import { sharedPostgres, type SharedServer } from '../support/servers/shared-server';
import { transactionsIn } from './leftovers/typeorm-leftovers';
import { openDataSource, prepareDatabase } from '../support/typeorm/lock-data-source';
import { typeormSetup } from './typeorm-setup';

let server: SharedServer;
let url = '';

beforeAll(async () => {
  server = await sharedPostgres();
  url = server.url;
  const dataSource = await openDataSource(url);
  await prepareDatabase(dataSource);
  await dataSource.destroy();
});

afterAll(() => server.stop());

describeLockStrategy({
  name: 'typeormLock on PostgreSQL',
  traits: { scope: 'shared', order: 'process', fencing: true },
  create: () => typeormSetup(url),
  leftovers: () => transactionsIn(url),
  worker: {
    file: require.resolve('./typeorm.worker'),
    execArgv: ['--import', 'tsx'],
    env: () => ({ LOCK_DATABASE_URL: url }),
  },
});
