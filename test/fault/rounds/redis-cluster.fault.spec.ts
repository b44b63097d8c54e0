import { describeFaults } from '../describe-faults';
import { redisClusterSubject } from '../subjects/redis-cluster.subject';

describeFaults(redisClusterSubject);
