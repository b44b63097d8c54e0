import type { Arena } from '../arena.js';
import type { Attempt, Contender, ContenderError, Grant } from '../contender/contender.js';
import { type ContractCase, everyStrategy, sharedStrategies } from '../contract-case.js';
import { promise, promiseEqual } from '../contract-violation.js';
import { checkTurns, passAround } from '../grant-record.js';
import { eventually } from '../patience.js';

const LINE = 8;

export const lapseCases: readonly ContractCase[] = [
  {
    title: 'lets nobody in while the holder is alive, however short the lease',
    appliesTo: everyStrategy,
    run: async (arena) => {
      const [holder, other] = await arena.contenders(2);
      const name = arena.key('alive');
      const grant = await holder.acquire(name, { ttl: arena.lease });
      const next = other.attempt(name, { ttl: arena.lease });
      const outcome = await other.attempt(name, { waitTime: 1.6 * arena.lease, ttl: arena.lease }).outcome();
      promiseEqual('who waits longer than the lease is told that the lock is busy', outcome, 'LOCK_BUSY');
      const { aborted, remaining } = await grant.state();
      promise('the holder still holds', !aborted && remaining > 0, { aborted, remaining });
      await grant.release();
      const later = await arena.soon('who still waits gets the lock', next.granted);
      const lease = await later.state();
      const isWhole = !lease.aborted && lease.remaining > arena.lease / 2;
      promise('a wait that is longer than the lease does not count into it', isWhole, lease);
      await later.release();
    },
  },
  {
    title: 'lets the next in when the lease of a frozen holder is over, not before, and the others behind it',
    appliesTo: sharedStrategies,
    run: async (arena) => {
      const [holder, ...others] = await arena.processContenders(3);
      const name = arena.key('frozen');
      const grant = await holder.acquire(name, { ttl: arena.lease });
      const attempts = await lineUp(arena, name, others);
      const { at, remaining } = await grant.state();
      promise('the lease is over some time', remaining > 0 && remaining <= arena.lease, { remaining });

      const goOn = await holder.freeze();
      const turns = await passAround(arena, attempts).finally(goOn);
      promiseEqual('all that wait are served', turns.length, LINE);
      const [first] = turns;
      // The clocks of both processes are the same one, cut to milliseconds.
      promise(
        'nobody is let in before the lease is over',
        Number(first?.grantedAt) >= Math.floor(at + remaining),
        {
          leaseEnds: at + remaining,
          first,
        },
      );
      checkTurns(arena, turns);
      if (arena.traits.fencing) {
        const tokens = { frozen: grant.token, first: first?.token };
        promise('its token is above the frozen holder’s', Number(first?.token) > Number(grant.token), tokens);
      }
    },
  },
  {
    title: 'gives no lock to a frozen waiter that lasts when it reads of it too late, and others have it',
    appliesTo: sharedStrategies,
    run: async (arena) => {
      const [holder, third, waiter] = await arena.processContenders(3);
      const name = arena.key('frozen-waiter');
      const request = { ttl: arena.lease };
      const grant = await holder.acquire(name, request);
      const late = waiter.attempt(name, request);
      await arena.untilLastWaits(name, [late]);
      const goOn = await waiter.freeze();
      let next: Grant;
      try {
        await grant.release();
        next = await arena.soon('the next gets the lock', third.acquire(name, request));
      } finally {
        await goOn();
      }
      await waiter.traits();
      await unharmed(holder, next, name);
      const { at: released } = await next.release();
      const last = await arena.soon('the waiter is served', late.granted);
      if (arena.traits.order === 'process' && last.at < released) {
        // A lock that is a transaction ends with its connection, whose end is read after the grant: nothing of it is kept.
        const lost = async (): Promise<boolean> => (await last.state()).aborted;
        await eventually('it hears that the lock is lost', arena.patience, lost);
      } else {
        promise('it is served when the others have left', last.at >= released, { released, at: last.at });
      }
      await last.release();
    },
  },
  {
    title: 'tells a holder that was frozen beyond its lease, whose late release and extension harm nobody',
    appliesTo: sharedStrategies,
    run: async (arena) => {
      const [holder, successor, third] = await arena.processContenders(3);
      const keys = { released: arena.key('late-release'), extended: arena.key('late-extend') };
      const request = { ttl: arena.lease };
      const late = {
        released: await holder.acquire(keys.released, request),
        extended: await holder.acquire(keys.extended, request),
      };
      const goOn = await holder.freeze();
      let next: { released: Grant; extended: Grant };
      let release: Promise<unknown>;
      let extension: Promise<string>;
      try {
        next = {
          released: await arena.soon(
            'the next gets the first lock',
            successor.acquire(keys.released, request),
          ),
          extended: await arena.soon(
            'the next gets the second lock',
            successor.acquire(keys.extended, request),
          ),
        };
        // The first thing that the holder finds when it wakes up, before or after it hears that it is too late.
        release = late.released.release();
        extension = codeOf(late.extended.extend(arena.lease));
      } finally {
        await goOn();
      }
      promiseEqual('a late extension fails', await arena.soon('the extension ends', extension), 'LOCK_LOST');
      await arena.soon('the release ends without an error', release);
      await eventually('the signal of the late holder aborts', arena.patience, async () => {
        const { aborted, reason, remaining } = await late.extended.state();
        return aborted && reason === 'LOCK_LOST' && remaining === 0;
      });
      await arena.soon('a late release is no error', late.extended.release());
      await unharmed(third, next.released, keys.released);
      await unharmed(third, next.extended, keys.extended);
    },
  },
  {
    title: 'lets the next in after its holder was killed, within the lease, but not before holdAtLeast',
    appliesTo: sharedStrategies,
    run: async (arena) => {
      const [other, holder] = await arena.processContenders(2);
      const name = arena.key('killed');
      const kept = arena.key('killed-and-kept');
      const holdAtLeast = 1.25 * arena.lease;
      const request = { ttl: arena.lease };
      const askedAt = Date.now();
      await holder.acquire(kept, { ...request, holdAtLeast });
      const grant = await holder.acquire(name, request);
      const [attempt, later] = [other.attempt(name, request), other.attempt(kept, request)];
      await arena.untilWaiting(other, name, () => 1);
      await holder.kill();
      const next = await arena.soon('the next gets the lock', attempt.granted);
      if (arena.traits.fencing) {
        const tokens = { dead: grant.token, next: next.token };
        promise('its token is above the dead holder’s', Number(next.token) > Number(grant.token), tokens);
      }
      await next.release();
      const last = await arena.soon('the next gets the lock that was to be kept', later.granted);
      const waited = last.at - askedAt;
      promise('a lock is kept for holdAtLeast, though its holder is dead', waited >= holdAtLeast - 2, {
        waited,
        holdAtLeast,
      });
      await last.release();
    },
  },
  {
    title: 'can be released twice, which harms nobody who waited or came meanwhile',
    appliesTo: everyStrategy,
    run: async (arena) => {
      const [holder, successor] = await arena.contenders(2);
      const name = arena.key('twice');
      const grant = await holder.acquire(name);
      const waiting = successor.attempt(name);
      await arena.untilLastWaits(name, [waiting]);
      await grant.release();
      const next = await arena.soon('who waits gets the lock', waiting.granted);
      await arena.soon('a second release is no error', grant.release());
      await unharmed(holder, next, name);
      await next.release();
      await arena.soon('a third release is no error', grant.release());
      const last = await successor.acquire(name);
      await arena.soon('a fourth release is no error', grant.release());
      await unharmed(holder, last, name);
      await last.release();
      const { aborted, remaining } = await grant.state();
      promise('a release is no loss', !aborted && remaining === 0, { aborted, remaining });
    },
  },
  {
    title: 'can be taken away by force, where it offers that: the old holder hears of it and harms nobody',
    appliesTo: everyStrategy,
    run: async (arena) => {
      const [holder, successor, third] = await arena.contenders(3);
      const name = arena.key('force');
      const grant = await holder.acquire(name, { ttl: arena.lease });
      const waiting = successor.attempt(name);
      await arena.untilLastWaits(name, [waiting]);
      const forced = await third.forceRelease(name);
      if (forced === undefined) return;
      promise('it says that somebody held the lock', forced);
      const next = await arena.soon('who waits gets the lock', waiting.granted);
      await eventually(
        'the signal of the old holder aborts',
        arena.patience,
        async () => (await grant.state()).aborted,
      );
      promiseEqual('its extension fails', await codeOf(grant.extend(arena.lease)), 'LOCK_LOST');
      await arena.soon('its release is no error', grant.release());
      await unharmed(third, next, name);
      await next.release();
      promiseEqual('it says that nobody holds the lock', await third.forceRelease(name), false);
    },
  },
];

/** The holder still holds: nobody else gets in, its signal is quiet, and it can extend its lease. */
async function unharmed(other: Contender, holder: Grant, name: string): Promise<void> {
  promiseEqual('nobody else gets in', await other.probe(name), 'LOCK_BUSY');
  await holder.extend(1_000);
  const { aborted, remaining } = await holder.state();
  promise('the holder still holds', !aborted && remaining > 0, { aborted, remaining });
}

async function lineUp(
  arena: Arena,
  name: string,
  contenders: readonly Contender[],
): Promise<readonly Attempt[]> {
  const attempts: Attempt[] = [];
  for (let arrival = 0; arrival < LINE; arrival += 1) {
    const contender = contenders[arrival % contenders.length];
    if (contender === undefined) throw new Error('There must be contenders.');
    attempts.push(contender.attempt(name, { ttl: arena.lease }));
    await arena.untilLastWaits(name, attempts);
  }
  return attempts;
}

function codeOf(pending: Promise<unknown>): Promise<string> {
  return pending.then(
    () => 'no error',
    (error: ContenderError) => error.code ?? `${error.name}: ${error.message}`,
  );
}
