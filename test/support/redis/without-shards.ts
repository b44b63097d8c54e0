/**
 * What makes a Redis 7 look like a Redis 6 to the lock: it has no sharded channels. Everything else of it is a Redis 7.
 */
export const WITHOUT_SHARDS: readonly string[] = ['SPUBLISH', 'SSUBSCRIBE', 'SUNSUBSCRIBE'].flatMap(
  (command) => ['--rename-command', command, ''],
);
