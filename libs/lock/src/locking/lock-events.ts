import { channel, type Channel } from 'node:diagnostics_channel';

/** What happened to one lock. Durations are milliseconds. */
export interface LockEvent {
  /** The resolved key, for example `stock:42`. */
  readonly key: string;
  /** The key as it stands on the method, for example `stock:<id>`. */
  readonly template?: string;
  readonly strategy: string;
  /** Who asked: `StockService.decrease`. */
  readonly label: string;
}

/** What the events of one call have in common. */
export function eventOf(
  { label, template }: { readonly label: string; readonly template?: string },
  key = '',
  strategy = '',
): LockEvent {
  return { key, template, strategy, label };
}

/** The events of {@link LockEvents}. A call that is inside of its lock already causes none. */
export interface LockEventMap {
  /** A call begins to ask for the lock. */
  readonly waiting: LockEvent;
  /** It got the lock after `waited` milliseconds; `token` where the strategy has fencing tokens. */
  readonly acquired: LockEvent & { readonly waited: number; readonly token: number | undefined };
  /** Somebody else held the lock for all the `waited` milliseconds. */
  readonly busy: LockEvent & { readonly waited: number };
  /** The lock was busy, and the call asked to skip its work then. Follows `busy`. */
  readonly skipped: LockEvent;
  /** The lock was given back, `held` milliseconds after it was taken. */
  readonly released: LockEvent & { readonly held: number };
  /** The lock was lost while it was held; `error` is the reason of the lease's signal. */
  readonly lost: LockEvent & { readonly error: unknown };
  /** The store could not be reached; `running` when the call goes on without a lock. */
  readonly unavailable: LockEvent & { readonly error: unknown; readonly running: boolean };
  /** A lock could not be given back; it ends with its lease. */
  readonly releaseFailed: LockEvent & { readonly error: unknown };
}

type EventName = keyof LockEventMap;
type Listener<Name extends EventName> = (event: LockEventMap[Name]) => void;

const CHANNELS: { readonly [Name in EventName]: Channel } = {
  waiting: channel('nestjs-distributed-lock:waiting'),
  acquired: channel('nestjs-distributed-lock:acquired'),
  busy: channel('nestjs-distributed-lock:busy'),
  skipped: channel('nestjs-distributed-lock:skipped'),
  released: channel('nestjs-distributed-lock:released'),
  lost: channel('nestjs-distributed-lock:lost'),
  unavailable: channel('nestjs-distributed-lock:unavailable'),
  releaseFailed: channel('nestjs-distributed-lock:releaseFailed'),
};

/**
 * What happens to the locks of one application. The same events are published on `diagnostics_channel`, as
 * `nestjs-distributed-lock:<event>`, for those who watch the whole process.
 *
 * @example
 * ```ts
 * events.on('lost', ({ key, label }) => alarms.raise(`${label} lost ${key}`));
 * ```
 *
 * @publicApi
 */
export class LockEvents {
  private readonly listeners = new Map<EventName, Set<(event: never) => void>>();

  /**
   * Listens until the returned function is called. Listeners run within the call that causes the event: keep them short.
   * What a listener throws is reported as an uncaught exception.
   */
  on<Name extends EventName>(name: Name, listener: Listener<Name>): () => void {
    const listeners = this.listeners.get(name) ?? new Set();
    this.listeners.set(name, listeners.add(listener));
    return () => void listeners.delete(listener);
  }

  /** Whether anybody would hear an event: what costs something to find out is found out only then. */
  hears(name: EventName): boolean {
    return (this.listeners.get(name)?.size ?? 0) > 0 || CHANNELS[name].hasSubscribers;
  }

  /** @internal */
  emit<Name extends EventName>(name: Name, event: LockEventMap[Name]): void {
    if (CHANNELS[name].hasSubscribers) CHANNELS[name].publish(event);
    const listeners = this.listeners.get(name);
    if (listeners === undefined) return;
    for (const listener of listeners) {
      try {
        (listener as Listener<Name>)(event);
      } catch (error) {
        // As `diagnostics_channel` does: a listener must not break the lock, nor fail in silence.
        process.nextTick(() => {
          throw error;
        });
      }
    }
  }
}
