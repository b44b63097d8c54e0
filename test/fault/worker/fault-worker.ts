import type { LockStrategy } from 'nestjs-distributed-lock';
import { HistoryRecorder } from '../history/history-recorder';
import { watchForStalls } from '../history/watch-for-stalls';
import { Arrivals } from './arrivals';
import { Caller } from './caller';
import type { WorkerCommand, WorkerPlan, WorkerRecipe, WorkerSubject } from './worker-plan';

const SHUTDOWN_PATIENCE = 10_000;

/** A process that takes locks all the time, and writes down what becomes of it. */
async function main(plan: WorkerPlan): Promise<void> {
  // Whoever started this process is gone: nobody would ever stop it.
  process.once('disconnect', leaveAtOnce);
  const recorder = new HistoryRecorder(plan.historyFile, plan.process, plan.life);
  const { recipe } = (await import(plan.recipe)) as { recipe: WorkerRecipe };
  const subject = await recipe(plan.urls);
  const strategy = strategyOf(subject);
  await strategy.connect?.();
  recorder.started();
  const unwatch = watchForStalls((since) => recorder.stalled(since));
  const arrivals = new Arrivals(strategy, (call) => recorder.call(call, { is: 'arrived' }));
  const caller = new Caller({ plan, strategy, recorder, arrivals, work: subject.work });

  const over = plan.mode === 'probe' ? caller.probe() : caller.work();
  const leaves = new Promise<void>((resolve) => {
    process.on('message', (command: WorkerCommand) => {
      caller.stop();
      if (command === 'leave') resolve();
    });
  });
  process.send?.('ready');
  await Promise.race([over, leaves]);
  await strategy.drain?.();
  // Who holds a lock when the shut-down begins is waited for; the strategy has a limit of its own for that.
  await Promise.race([over, new Promise((resolve) => setTimeout(resolve, SHUTDOWN_PATIENCE).unref())]);
  await strategy.close?.();
  if (typeof subject.strategy !== 'function') await subject.strategy.dispose?.();
  unwatch();
  recorder.ended();
  // From here on only what was left open can keep this process alive.
  process.off('disconnect', leaveAtOnce);
  process.disconnect();
}

function strategyOf({ strategy }: WorkerSubject): LockStrategy {
  const { factory, get } = typeof strategy === 'function' ? { factory: strategy } : strategy;
  return factory({
    strategy: 'fault',
    get: <T>(token: unknown): T => {
      if (get === undefined) throw new Error(`There is no ${String(token)} here.`);
      return get(token) as T;
    },
  });
}

function leaveAtOnce(): void {
  process.exit(1);
}

main(JSON.parse(process.argv[2] ?? '') as WorkerPlan).catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
