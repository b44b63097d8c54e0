import { answerOf } from '../answer-of.js';
import type { Arena } from '../arena.js';
import type { ContractApplication } from '../contract-application.js';
import { type ContractCase, everyStrategy } from '../contract-case.js';
import { promise, promiseEqual } from '../contract-violation.js';
import { inTime } from '../in-time.js';

const WAIT = 200;
const LATEST = 500;
const HOLD_AT_MOST = 500;

/** What applications see: the decorator and every form of the service, on the strategy. */
export const apiCases: readonly ContractCase[] = [
  {
    title: `gives up after a wait time of ${WAIT} ms in every form of the API`,
    appliesTo: everyStrategy,
    run: async (arena) => {
      const application = await arena.application();
      const name = arena.key('forms');
      const holder = await application.locks.acquire(name);
      for (const [form, call] of Object.entries(formsThatWait(application, name))) {
        await inTime({ earliest: WAIT, latest: LATEST }, async () => {
          promiseEqual(
            `${form} says that the lock is busy`,
            await arena.soon(form, answerOf(call())),
            'LOCK_BUSY',
          );
        });
      }
      await holder.release();
      promiseEqual('the lock is free afterwards', await application.methods.trying(name), 'done');
    },
  },
  {
    title: 'tries once in every form of the API when the wait time is 0',
    appliesTo: everyStrategy,
    run: async (arena) => {
      const application = await arena.application();
      const name = arena.key('tries');
      const holder = await application.locks.acquire(name);
      for (const [form, call] of Object.entries(formsThatTry(application, name))) {
        await inTime({ earliest: 0, latest: LATEST }, async () => {
          promiseEqual(
            `${form} says that the lock is busy`,
            await arena.soon(form, answerOf(call())),
            'LOCK_BUSY',
          );
        });
      }
      await holder.release();
    },
  },
  {
    title: 'stops waiting in every form of the API when the signal aborts, also when it did before',
    appliesTo: everyStrategy,
    run: async (arena) => {
      const { locks } = await arena.application();
      const name = arena.key('signals');
      const holder = await locks.acquire(name);
      for (const form of ['run', 'acquire', 'tryAcquire'] as const) {
        const call = (signal: AbortSignal): Promise<unknown> => {
          const options = { waitTime: 60_000, signal };
          return form === 'run' ? locks.run(name, () => 'done', options) : locks[form](name, options);
        };
        const reason = new Error('enough');
        await stops(arena, `${form} with a signal that was aborted`, call(AbortSignal.abort(reason)), reason);
        const abort = new AbortController();
        const waiting = call(abort.signal);
        waiting.catch(() => undefined);
        await arena.untilWaiting(locks, name, () => 1);
        abort.abort(reason);
        await stops(arena, `${form} whose signal aborts`, waiting, reason);
      }
      await holder.release();
      const next = await arena.soon('the lock is free afterwards', locks.acquire(name));
      await next.release();
    },
  },
  {
    title: 'refuses names above 1 024 bytes in every form of the API, and says why',
    appliesTo: everyStrategy,
    run: async (arena) => {
      const application = await arena.application();
      // 1 023 characters, but 1 025 bytes.
      const name = `${arena.key('long').padEnd(1_021, 'x')}東y`;
      for (const [form, call] of Object.entries({
        ...formsThatTry(application, name),
        ...formsThatWait(application, name),
      })) {
        promiseEqual(`${form} refuses the name`, await arena.soon(form, answerOf(call())), 'LOCK_KEY');
      }
    },
  },
  {
    title: 'gives the lock to the next when its holder never releases it, at holdAtMost and not before',
    appliesTo: everyStrategy,
    run: async (arena) => {
      const { locks } = await arena.application();
      const name = arena.key('hold-at-most');
      const askedAt = performance.now();
      const lease = await locks.acquire(name, { holdAtMost: HOLD_AT_MOST });
      const next = await arena.soon('the next gets the lock', locks.acquire(name, { waitTime: 60_000 }));
      const held = performance.now() - askedAt;
      promise('the next waits until holdAtMost', held >= HOLD_AT_MOST - 2, { held });
      promise('the signal of the first is aborted', lease.signal.aborted);
      await lease.release();
      promise('a late release harms nobody', (await locks.tryAcquire(name)) === null && !next.signal.aborted);
      await next.release();
    },
  },
];

type Forms = Readonly<Record<string, () => Promise<unknown>>>;

function formsThatWait({ locks, methods }: ContractApplication, name: string): Forms {
  const options = { waitTime: WAIT };
  return {
    'the decorator': () => methods.waiting(name),
    'LockService.run': () => locks.run(name, () => 'done', options),
    'LockService.acquire': () => locks.acquire(name, options),
    'LockService.tryAcquire': () => locks.tryAcquire(name, options),
  };
}

function formsThatTry({ locks, methods }: ContractApplication, name: string): Forms {
  return {
    'the decorator': () => methods.trying(name),
    'LockService.run': () => locks.run(name, () => 'done', { waitTime: 0 }),
    'LockService.run with skip': async () =>
      (await locks.run(name, () => 'done', { whenBusy: 'skip' })) ?? null,
    'LockService.acquire': () => locks.acquire(name, { waitTime: 0 }),
    'LockService.tryAcquire': () => locks.tryAcquire(name),
  };
}

async function stops(arena: Arena, call: string, waiting: Promise<unknown>, reason: Error): Promise<void> {
  const caught = waiting.then(
    () => 'granted',
    (error: unknown) => error,
  );
  const error = await arena.soon(`${call} stops waiting`, caught);
  promise(`${call} rejects with the signal's reason`, error === reason, { error: String(error) });
}
