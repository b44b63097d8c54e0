/** One way to break the lock, and the promise that notices. */
export interface Mutant {
  /** What the broken lock does. */
  readonly name: string;
  readonly edits: readonly Edit[];
  readonly caughtBy: NamedTest;
}

export interface Edit {
  readonly file: string;
  /** Occurs exactly once in the file: a mutant that does not fit any more has to be written anew. */
  readonly find: string;
  readonly replace: string;
}

export interface NamedTest {
  readonly file: string;
  /** The beginning of its title. */
  readonly title: string;
  /** What the failure has to say: a test that fails for another reason has not noticed anything. */
  readonly because: RegExp;
}

const LOCK = 'libs/lock/src';
const REDIS = `${LOCK}/strategies/redis`;
const SCRIPTS = `${REDIS}/scripts`;
const REDLOCK = `${LOCK}/strategies/redlock`;
const TYPEORM = `${LOCK}/strategies/typeorm`;

const ROUND = {
  file: 'test/fault/rounds/redis.fault.spec.ts',
  title: 'keeps exclusion, tokens, order and progress, and leaves nothing behind',
};

const OVERTAKEN = /order is broken: .+ came first and was waiting/;
const TWO_HOLDERS = /exclusion is broken: .+ while it is still/;

export const MUTANTS: readonly Mutant[] = [
  {
    name: 'serves who waits in no order',
    edits: [
      {
        file: `${SCRIPTS}/acquire.lua`,
        find: "if ticket == '0' then ticket = following(lock.counter) end",
        replace: "if ticket == '0' then ticket = string.format('%016.0f', math.random(1, 1000000)) end",
      },
    ],
    caughtBy: { ...ROUND, because: OVERTAKEN },
  },
  {
    name: 'serves the last first, in memory',
    edits: [
      {
        file: `${LOCK}/locking/fifo-mutex.ts`,
        find: 'const next = this.waiters?.values().next().value;',
        replace: 'const next = [...(this.waiters ?? [])].at(-1);',
      },
    ],
    caughtBy: {
      file: 'test/fault/rounds/memory.fault.spec.ts',
      title: ROUND.title,
      because: OVERTAKEN,
    },
  },
  {
    name: 'grants a lock that is held',
    edits: [
      {
        file: `${SCRIPTS}/acquire.lua`,
        find: 'if not ARGV[3] and (not state or #state == 16) then',
        replace: "if not state or #state == 16 or string.sub(state, 17, 17) == '-' then",
      },
    ],
    caughtBy: { ...ROUND, because: TWO_HOLDERS },
  },
  {
    name: 'releases a lock without asking whose it is',
    edits: [
      {
        file: `${SCRIPTS}/release.lua`,
        find: "if not state or string.sub(state, 31, 78) ~= ARGV[1] then return 'N-' end",
        replace: "if not state then return 'N-' end",
      },
    ],
    caughtBy: {
      file: `${SCRIPTS}/scripts.spec.ts`,
      title: 'is no matter when it comes late: the next holder is not harmed',
      because: /Expected: "N-"\nReceived: "R-"/,
    },
  },
  {
    name: 'does not renew',
    edits: [
      {
        file: `${REDIS}/lease-renewal.ts`,
        find: 'else if (now + GATHERED >= grant.renewAt) grant.renew();',
        replace: '',
      },
    ],
    caughtBy: {
      file: ROUND.file,
      title: 'keeps its promises when nothing happens',
      because: /renewal is broken: .+ though nothing had happened/,
    },
  },
  {
    name: 'counts tokens anew after a restart without data',
    edits: [
      {
        file: `${SCRIPTS}/acquire.lua`,
        find: 'local token = micros',
        replace: "local token = '0000000000000001'",
      },
      {
        file: `${SCRIPTS}/acquire.lua`,
        find: 'if state and state >= micros then',
        replace: 'if state then',
      },
      {
        file: `${SCRIPTS}/includes/state.lua`,
        find: 'if micros > counter then return micros end',
        replace: '',
      },
    ],
    caughtBy: {
      file: ROUND.file,
      title: 'keeps its promises when Redis loses its data',
      because: /tokens is broken: .+ has the token \d+ (again|after .+ had \d+)/,
    },
  },
  {
    name: 'forgets, when a wait ends, that the grant may be under way',
    edits: [
      {
        file: `${SCRIPTS}/cancel.lua`,
        find: 'if covers(lock, instance, seq) then',
        replace: 'if false then',
      },
    ],
    caughtBy: {
      file: `${SCRIPTS}/scripts.spec.ts`,
      title: 'replies the grant that has overtaken it',
      because: /- +"G",\n- +"1",\n\+ +"C",/,
    },
  },
  {
    name: 'says nothing again after a reconnect',
    edits: [
      {
        file: `${REDIS}/redis-lock.strategy.ts`,
        find: 'queuesOf(link).forEach((queue) => queue.resume())',
        replace: 'void queuesOf(link)',
      },
    ],
    caughtBy: {
      file: ROUND.file,
      title: 'keeps its promises when connections break',
      because: /(order|progress) is broken: .+ (came first and was waiting|lay free for \d+ ms)/,
    },
  },
  {
    name: 'releases before the commit',
    edits: [
      {
        file: `${LOCK}/locking/lock-executor.ts`,
        find: 'const result = await work();\n',
        replace: 'const result = await work();\n          await lease.release();\n',
      },
    ],
    caughtBy: {
      file: `${LOCK}/locking/lock-executor.spec.ts`,
      title: 'is committed before the lock is given back',
      because: /- +"commit",\n +"release stock:1",\n\+ +"commit",/,
    },
  },
  {
    name: 'gives a lock at once that Redis may have forgotten',
    edits: [
      {
        file: `${SCRIPTS}/acquire.lua`,
        find: 'if ends and ends > now then',
        replace: 'if false then',
      },
    ],
    caughtBy: {
      file: `${SCRIPTS}/scripts.spec.ts`,
      title: 'gives the lock to nobody for a lease when a ticket is presented that it never gave',
      because: /Expected: "Q"\nReceived: "G"/,
    },
  },
  {
    name: 'brings a released lock back by a late extension',
    edits: [
      {
        file: `${SCRIPTS}/extend.lua`,
        find: '(lock.counter < last or lock.holder == QUARANTINE)',
        replace: 'true',
      },
    ],
    caughtBy: {
      file: `${SCRIPTS}/scripts.spec.ts`,
      title: 'does not bring back a lock that was released',
      because: /Expected: "X"\nReceived: "E"/,
    },
  },
  {
    name: 'shortens a lease when it gives the same grant again',
    edits: [
      {
        file: `${SCRIPTS}/acquire.lua`,
        find: 'if ends > lock.ends then lock.ends = ends end',
        replace: 'lock.ends = ends',
      },
    ],
    caughtBy: {
      file: 'test/properties/redis/redis-scripts.model.spec.ts',
      title: 'do what the model does, in any order, repeated, and with a clock that jumps',
      // The same reply, but for the end of the lease.
      because: /- +"reply": "(G[-+]\d{13})\d{13}(.*)",\n\+ +"reply": "\1\d{13}\2",/,
    },
  },
  {
    name: 'suspects nobody, and so loses a lease to each place of a vanished machine',
    edits: [
      {
        file: `${SCRIPTS}/includes/state.lua`,
        find: 'local function suspect(lock, caller)',
        replace: 'local function suspect(lock, caller)\n  if lock then return end',
      },
    ],
    caughtBy: {
      file: `${SCRIPTS}/scripts.spec.ts`,
      title:
        'loses one lease, not one for each place, to a machine that vanished without closing its sockets',
      because: /- +"G",\n- +"2",\n\+ +"R",/,
    },
  },
  {
    name: 'lets a call that does not wait pass the queue',
    edits: [
      {
        file: `${SCRIPTS}/acquire.lua`,
        find: 'outcome = promote(lock)',
        replace: "outcome = waits and promote(lock) or 'nobody'",
      },
    ],
    caughtBy: {
      file: `${SCRIPTS}/scripts.spec.ts`,
      title: 'does not let a call that does not wait pass the queue when the lease has lapsed',
      because: /Expected: "B"\nReceived: "G"/,
    },
  },
  {
    name: 'does not tell the holder when the lease is over',
    edits: [
      {
        file: `${REDIS}/lease-renewal.ts`,
        find: 'if (now >= grant.deadline) grant.expire();',
        replace: 'if (now >= grant.deadline) continue;',
      },
    ],
    caughtBy: {
      file: `${REDIS}/redis-lock.strategy.spec.ts`,
      title:
        'loses the lock at its deadline when Redis is away, and tells the holder before others may get it',
      because: /Waited \d+ ms in vain: lost\./,
    },
  },
  {
    name: 'takes one node of a quorum for a majority',
    edits: [
      {
        file: `${REDLOCK}/ballot.ts`,
        find: 'return Math.floor(electorate / 2) + 1;',
        replace: 'return 1;',
      },
      // The package counts for itself: so it hears yes from everybody.
      {
        file: `${REDLOCK}/redlock-package.ts`,
        find: 'else this.ballot.voteAgainst(this.node);\n      return reply;',
        replace: 'else this.ballot.voteAgainst(this.node);\n      return 1;',
      },
    ],
    caughtBy: {
      file: 'test/fault/rounds/quorum.fault.spec.ts',
      title: ROUND.title,
      because: TWO_HOLDERS,
    },
  },
  {
    name: 'locks nothing in the database',
    edits: [
      {
        file: `${TYPEORM}/postgres.dialect.ts`,
        find: 'return `SELECT pg_advisory_xact_lock(${advisoryKey})`;',
        replace: 'return `SELECT pg_advisory_xact_lock_shared(${advisoryKey})`;',
      },
      // The row of the lock table would keep the others out as well.
      {
        file: `${TYPEORM}/postgres.dialect.ts`,
        find: "reservation === undefined ? takeRow(table, lock, '0')",
        replace: 'reservation === undefined ? `SELECT ${nextToken(table)} AS token`',
      },
    ],
    caughtBy: {
      file: 'test/fault/rounds/typeorm-postgres.fault.spec.ts',
      title: ROUND.title,
      because: TWO_HOLDERS,
    },
  },
];
