import { describeFaults, describeFaultsOf } from '../describe-faults';
import { redisClusterSubject } from '../subjects/redis-cluster.subject';

describeFaults(redisClusterSubject);
describeFaultsOf(redisClusterSubject, 'when nothing happens', []);
