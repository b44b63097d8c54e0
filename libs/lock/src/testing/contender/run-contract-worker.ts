import type { StrategyRecipe } from '../strategy-under-test.js';
import { ContenderHost, failureOf } from './contender-host.js';
import type { ContenderMessage, ContenderQuestion } from './contender-message.js';

/**
 * Makes this process a contender of the contract suite. The whole of a worker file:
 *
 * @example
 * ```ts
 * runContractWorker(() => redisLock({ url: process.env.REDIS_URL }));
 * ```
 *
 * @publicApi
 */
export function runContractWorker(recipe: StrategyRecipe): void {
  // The suite ended, or died: nobody is left to tell this process anything.
  process.once('disconnect', leaveUnlessClosed);
  const before = listenersOfProcess();
  ContenderHost.open(recipe).then(
    (host) => serve(host, before),
    (error: unknown) => {
      send({ kind: 'failed', failure: failureOf(error) });
      process.disconnect();
    },
  );
}

function serve(host: ContenderHost, before: ReadonlyMap<string, number>): void {
  process.on('message', ({ id, command }: ContenderQuestion) => {
    if (command.do === 'close') process.off('disconnect', leaveUnlessClosed);
    host.answer(command).then(
      (answer) =>
        send({ kind: 'answer', id, answer: command.do === 'close' ? listenersSince(before) : answer }),
      (error: unknown) => send({ kind: 'failure', id, failure: failureOf(error) }),
    );
  });
  send({ kind: 'ready' });
}

/** A closed strategy has to let the process end by itself, so only one that was not closed is ended by force. */
function leaveUnlessClosed(): void {
  process.exit(1);
}

function send(message: ContenderMessage): void {
  process.send?.(message);
}

function listenersOfProcess(): ReadonlyMap<string, number> {
  const events = process.eventNames().filter((event) => event !== 'message' && event !== 'disconnect');
  return new Map(events.map((event) => [String(event), process.listenerCount(event)]));
}

/** Listeners at the process that were not there before: with every application that is closed there are more. */
function listenersSince(before: ReadonlyMap<string, number>): readonly string[] {
  return [...listenersOfProcess()]
    .map(([event, count]) => ({ event, more: count - (before.get(event) ?? 0) }))
    .filter(({ more }) => more > 0)
    .map(({ event, more }) => `${more} more of "${event}"`);
}
