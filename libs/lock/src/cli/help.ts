export const HELP = `Who holds a lock of redisLock(), who waits for it, and how to free it.

  nestjs-distributed-lock inspect KEY [--redis URL]
  nestjs-distributed-lock release KEY [--redis URL]

KEY is the lock as it was taken: 'stock:42' for @DistributedLock('stock:<id>') with the id 42.

  --redis URL       redis://[user:password@]host:port[/database], or rediss:// for TLS.
                    Without it: the variable REDIS_URL, where no list of processes shows a password
  --prefix PREFIX   what the keys in Redis begin with: the keyPrefix of the client, then the prefix of
                    redisLock(). 'lock:' unless you changed them
  --cluster         the URLs are nodes of a Cluster: --redis once a node, or with commas between them
  --sentinel NAME   the URLs are Sentinels that watch the master NAME. User, password and database in
                    the first URL are the master's; REDIS_SENTINEL_PASSWORD is the Sentinels' own
  --timeout MS      how long to wait for Redis, 5000 unless given
  --json            prints one line of JSON; durations are milliseconds
  -y, --yes         release: does not ask. Needed where nobody can be asked
  -h, --help
  --version

release takes the lock away from a holder that may still be at work: make sure that it is not. Whoever
waits gets the lock at once, and the holder's signal aborts.

Exit codes: 0 held, or released; 1 nobody holds it; 2 wrong usage; 3 Redis can't be reached or used;
4 left alone, because the answer was no, nobody could be asked, or it has another holder by now.
`;
