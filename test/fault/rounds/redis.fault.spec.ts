import { describeFaults, describeFaultsOf } from '../describe-faults';
import { redisBypassSubject, redisSubject } from '../subjects/redis.subject';

describeFaults(redisSubject);
describeFaultsOf(redisSubject, 'when Redis loses its data', ['restart-empty', 'kill', 'stop']);
describeFaultsOf(redisSubject, 'when connections break', ['cut', 'client-kill', 'silence']);
describeFaultsOf(redisSubject, 'when nothing happens', []);
describeFaultsOf(redisBypassSubject, 'when processes come and go', ['kill', 'stop', 'cut', 'leave']);
