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
  ContenderHost.open(recipe).then(serve, (error: unknown) => {
    send({ kind: 'failed', failure: failureOf(error) });
    process.disconnect();
  });
}

function serve(host: ContenderHost): void {
  process.on('message', ({ id, command }: ContenderQuestion) => {
    if (command.do === 'close') process.off('disconnect', leaveUnlessClosed);
    host.answer(command).then(
      (answer) => send({ kind: 'answer', id, answer }),
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
