import { describeFaults } from '../describe-faults';
import { redisSubject } from '../subjects/redis.subject';

describeFaults(redisSubject);
