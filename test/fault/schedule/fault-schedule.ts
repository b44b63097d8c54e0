import { Random } from './random';

/** What may happen to a process, and is done in the same way whatever the store is. */
export const PROCESS_FAULTS = ['kill', 'leave', 'stop', 'delay', 'silence', 'cut'] as const;

/** What may happen to the store. */
export const STORE_FAULTS = [
  'restart-keep',
  'restart-empty',
  'freeze',
  'client-kill',
  'client-pause',
  'script-flush',
  'slow-script',
  'failover',
  'move-slot',
] as const;

export type ProcessFault = (typeof PROCESS_FAULTS)[number];
export type StoreFault = (typeof STORE_FAULTS)[number];
export type FaultKind = ProcessFault | StoreFault;

/** A fault that is going to happen. All times are milliseconds. */
export interface PlannedFault {
  /** After the start of the round. */
  readonly at: number;
  readonly kind: FaultKind;
  /** The process that it hits; undefined for the store. */
  readonly target: string | undefined;
  /** How long it lasts, or, for `kill` and `leave`, until the process lives again. */
  readonly duration: number;
}

export interface ScheduleRequest {
  readonly seed: number;
  readonly kinds: readonly FaultKind[];
  readonly processes: readonly [string, ...string[]];
  readonly duration: number;
  /** The lease of the round: some faults are shorter, some are longer. */
  readonly lease: number;
}

/** Milliseconds between the beginnings of two faults, at least and at most. */
const PAUSE = { least: 100, most: 800 };

/**
 * What happens in a round: the same for the same request. No kind comes a second time before each has come once, so that
 * short rounds try what they are for.
 */
export function faultSchedule({
  seed,
  kinds,
  processes,
  duration,
  lease,
}: ScheduleRequest): readonly PlannedFault[] {
  if (kinds.length === 0) return [];
  const random = new Random(seed);
  const faults: PlannedFault[] = [];
  const freeAt = new Map<string, number>();
  let left: readonly FaultKind[] = [];
  for (let at = PAUSE.most; at <= duration; at += random.between(PAUSE.least, PAUSE.most)) {
    const kind = random.pick(left.length > 0 ? left : kinds);
    const target = isProcessFault(kind) ? random.pick(processes) : undefined;
    const fault = { at, kind, target, duration: durationOf(kind, lease, random) };
    if (at + fault.duration > duration) continue;
    const hit = target ?? 'the store';
    // Who is hit already is spared: what two faults at once do to one process, nobody could tell apart.
    if (at < (freeAt.get(hit) ?? 0)) continue;
    freeAt.set(hit, at + fault.duration);
    faults.push(fault);
    left = (left.length > 0 ? left : kinds).filter((other) => other !== kind);
  }
  return faults;
}

/** The shortest round, in whole seconds from `duration` on, in which every kind of fault comes at least once. */
export function durationOfAll(request: ScheduleRequest): number {
  const planned = new Set(faultSchedule(request).map(({ kind }) => kind));
  if (request.kinds.every((kind) => planned.has(kind))) return request.duration;
  return durationOfAll({ ...request, duration: request.duration + 1_000 });
}

export function isProcessFault(kind: FaultKind): kind is ProcessFault {
  return (PROCESS_FAULTS as readonly string[]).includes(kind);
}

/** One line a fault, for people. */
export function printSchedule(faults: readonly PlannedFault[]): string {
  return faults
    .map(
      ({ at, kind, target = 'the store', duration }) =>
        `${String(at).padStart(8)} ms  ${kind} hits ${target} for ${duration} ms`,
    )
    .join('\n');
}

function durationOf(kind: FaultKind, lease: number, random: Random): number {
  switch (kind) {
    case 'stop':
    case 'silence':
    case 'client-pause':
    case 'freeze':
      // Shorter than the lease, about as long, or longer.
      return random.between(Math.round(lease / 10), Math.round(lease * 1.6));
    case 'delay':
      return random.between(200, lease);
    case 'slow-script':
      return random.between(50, Math.round(lease / 2));
    case 'kill':
    case 'leave':
      return random.between(50, 400);
    case 'restart-keep':
    case 'restart-empty':
    case 'failover':
      return random.between(100, 500);
    case 'cut':
    case 'client-kill':
    case 'script-flush':
    case 'move-slot':
      return 0;
  }
}
