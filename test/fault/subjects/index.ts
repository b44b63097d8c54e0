import type { FaultSubject } from './fault-subject';
import { memorySubject } from './memory.subject';
import { quorumOfFiveSubject, quorumSubject } from './quorum.subject';
import { redisClusterSubject } from './redis-cluster.subject';
import { redisBypassSubject, redisIoredis5Subject, redisSubject } from './redis.subject';
import { redisSentinelSubject } from './redis-sentinel.subject';
import { typeormMariadbSubject, typeormPostgresSubject } from './typeorm.subject';

/** Every strategy that is put under faults, by the name that `--strategy` takes. */
export const FAULT_SUBJECTS: Readonly<Record<string, FaultSubject>> = {
  memory: memorySubject,
  redis: redisSubject,
  bypass: redisBypassSubject,
  ioredis5: redisIoredis5Subject,
  sentinel: redisSentinelSubject,
  cluster: redisClusterSubject,
  quorum: quorumSubject,
  quorum5: quorumOfFiveSubject,
  postgres: typeormPostgresSubject,
  mariadb: typeormMariadbSubject,
};
