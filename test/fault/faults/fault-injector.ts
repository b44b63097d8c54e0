import { setTimeout as pause } from 'node:timers/promises';
import type { FaultRecord } from '../history/history';
import { moment } from '../history/moment';
import { isProcessFault, type PlannedFault } from '../schedule/fault-schedule';
import { Random } from '../schedule/random';
import type { OpenSubject } from '../subjects/fault-subject';
import type { Crew } from '../worker/crew';

/** What a slow network adds, in milliseconds. */
const SLOW = { least: 1, most: 60 };

/** Does what a schedule says, and records when it was done. */
export class FaultInjector {
  readonly records: FaultRecord[] = [];
  private readonly random: Random;

  constructor(
    private readonly crew: Crew,
    private readonly subject: OpenSubject,
    seed: number,
  ) {
    this.random = new Random(seed);
  }

  /** Resolves when all faults are over, and whoever was killed is back. */
  async run(schedule: readonly PlannedFault[], onFault: (fault: PlannedFault) => void): Promise<void> {
    const startedAt = performance.now();
    // Processes and servers take longer to start than any schedule knows: the next fault that hits them waits for it.
    const last = new Map<string | undefined, Promise<void>>();
    for (const fault of schedule) {
      await pause(fault.at - (performance.now() - startedAt));
      const injected = (last.get(fault.target) ?? Promise.resolve()).then(() => this.inject(fault, onFault));
      // A failure is told when all faults are over.
      injected.catch(() => undefined);
      last.set(fault.target, injected);
    }
    await Promise.all(last.values());
  }

  private async inject(fault: PlannedFault, onFault: (fault: PlannedFault) => void): Promise<void> {
    const { kind, target, duration } = fault;
    onFault(fault);
    const from = moment();
    if (!isProcessFault(kind)) await this.subject.inject(kind, duration);
    else if (target !== undefined) await this.hit(target, fault);
    this.records.push({ kind, target, from, until: moment() });
    if (target === undefined || (kind !== 'kill' && kind !== 'leave')) return;
    // The fault is over when the process is gone; that it comes back is none.
    await pause(duration);
    await this.crew.revive(target);
  }

  private async hit(target: string, { kind, duration }: PlannedFault): Promise<void> {
    const { crew } = this;
    switch (kind) {
      case 'kill':
        return crew.worker(target).kill();
      case 'leave':
        return crew.leave(target);
      case 'stop': {
        const goOn = await crew.worker(target).freeze();
        await pause(duration);
        return goOn();
      }
      case 'delay':
        crew
          .proxies(target)
          .forEach((proxy) => proxy.slowDown(() => this.random.between(SLOW.least, SLOW.most)));
        await pause(duration);
        return crew.proxies(target).forEach((proxy) => proxy.slowDown(undefined));
      case 'silence':
        crew.proxies(target).forEach((proxy) => proxy.fallSilent());
        await pause(duration);
        return crew.proxies(target).forEach((proxy) => proxy.speakAgain());
      case 'cut':
        return crew.proxies(target).forEach((proxy) => proxy.cut());
    }
  }
}
