import { describeLockStrategy } from 'nestjs-distributed-lock/testing';
import { startMariadb } from '../support/servers/mariadb-server';
import { transactionsIn } from './leftovers/typeorm-leftovers';
import { openDataSource, prepareDatabase } from '../support/typeorm/lock-data-source';
import { typeormSetup } from './typeorm-setup';

let url = '';

beforeAll(async () => {
  const server = await startMariadb();
  url = server.url;
  const dataSource = await openDataSource(url);
  await prepareDatabase(dataSource);
  await dataSource.destroy();
});

describeLockStrategy({
  name: 'typeormLock on MariaDB',
  traits: { scope: 'shared', order: 'process', fencing: true },
  create: () => typeormSetup(url),
  leftovers: () => transactionsIn(url),
  worker: {
    file: require.resolve('./typeorm.worker'),
    execArgv: ['--import', 'tsx'],
    env: () => ({ LOCK_DATABASE_URL: url }),
  },
});
