import { describeFaults } from '../describe-faults';
import { redisSentinelSubject } from '../subjects/redis-sentinel.subject';

describeFaults(redisSentinelSubject);
