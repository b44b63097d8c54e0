import type { FaultRecord } from '../history/history';
import { moment } from '../history/moment';
import { isProcessFault, type PlannedFault } from '../schedule/fault-schedule';
import type { OpenSubject } from '../subjects/fault-subject';
import type { Crew } from '../worker/crew';

/** What a slow network adds, in milliseconds. */
const SLOW = { least: 1, most: 60 };

/** Does what a schedule says, and records when it was done. */
export class FaultInjector {
  readonly records: FaultRecord[] = [];
  /** Who is under a fault, or on the way back from one: a process takes longer to start than any schedule knows. */
  private readonly away = new Set<string>();

  constructor(
    private readonly crew: Crew,
    private readonly subject: OpenSubject,
  ) {}

  /** Resolves when all faults are over. */
  async run(schedule: readonly PlannedFault[], onFault: (fault: PlannedFault) => void): Promise<void> {
    const startedAt = performance.now();
    const under: Promise<void>[] = [];
    const add = (injected: Promise<void>): void => {
      // A failure is told when all faults are over.
      injected.catch(() => undefined);
      under.push(injected);
    };
    // A server that is started again takes as long as it takes: the next fault of the store waits for it.
    let store = Promise.resolve();
    for (const fault of schedule) {
      await pause(fault.at - (performance.now() - startedAt));
      onFault(fault);
      if (fault.target === undefined) {
        store = store.then(() => this.inject(fault));
        add(store);
      } else if (!this.away.has(fault.target)) {
        this.away.add(fault.target);
        add(this.inject(fault));
      }
    }
    await Promise.all(under);
  }

  private async inject(fault: PlannedFault): Promise<void> {
    const { kind, target, duration } = fault;
    const from = moment();
    if (!isProcessFault(kind)) await this.subject.inject(kind, duration);
    else if (target !== undefined) await this.hit(target, fault);
    this.records.push({ kind, target, from, until: moment() });
    if (target === undefined) return;
    // The fault is over when the process is gone; that it comes back is none.
    if (kind !== 'kill' && kind !== 'leave') this.away.delete(target);
    else this.crew.expect(this.comeBack(target, duration));
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
        crew.proxies(target).forEach((proxy) => proxy.slowDown(SLOW));
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

  private async comeBack(target: string, after: number): Promise<void> {
    await pause(after);
    await this.crew.revive(target);
    this.away.delete(target);
  }
}

function pause(duration: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, duration)));
}
