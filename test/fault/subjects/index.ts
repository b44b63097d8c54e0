import type { FaultSubject } from './fault-subject';
import { memorySubject } from './memory.subject';
import { quorumSubject } from './quorum.subject';
import { redisSubject } from './redis.subject';
import { redisSentinelSubject } from './redis-sentinel.subject';
import { typeormMariadbSubject, typeormPostgresSubject } from './typeorm.subject';

/** Every strategy that is put under faults, by the name that `--strategy` takes. */
export const FAULT_SUBJECTS: Readonly<Record<string, FaultSubject>> = {
  memory: memorySubject,
  redis: redisSubject,
  sentinel: redisSentinelSubject,
  quorum: quorumSubject,
  postgres: typeormPostgresSubject,
  mariadb: typeormMariadbSubject,
};
