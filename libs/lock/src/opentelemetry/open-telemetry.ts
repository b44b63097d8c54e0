import {
  SpanKind,
  SpanStatusCode,
  metrics,
  trace,
  type Attributes,
  type Histogram,
} from '@opentelemetry/api';
import { LockBusyError, LockError, LockLostError, LockUnavailableError } from '../locking/lock-error.js';
import type { LockEvent } from '../locking/lock-events.js';
import { LockInstrumentation } from '../locking/lock-instrumentation.js';
import { resourceOf } from '../locking/lock-name.js';

const SCOPE = 'nestjs-distributed-lock';

/**
 * Spans and metrics of every lock, by the application's own OpenTelemetry SDK: `LockModule.forRoot({ instrumentation:
 * openTelemetry() })`. Start the SDK first.
 *
 * Spans `lock.wait` and `lock.hold`; histograms `lock.wait.duration` and `lock.hold.duration` in seconds; counter
 * `lock.requests`. Attributes: `lock.resource` (the key as it stands on the method, else its first segment: never a raw
 * key, for cardinality and privacy), `lock.strategy`, `lock.caller`, and on metrics `lock.outcome`.
 *
 * @publicApi
 */
export function openTelemetry(): LockInstrumentation {
  return new OpenTelemetryInstrumentation();
}

class OpenTelemetryInstrumentation extends LockInstrumentation {
  private readonly tracer = trace.getTracer(SCOPE);
  private readonly meter = metrics.getMeter(SCOPE);
  private readonly requests = this.meter.createCounter('lock.requests', {
    description: 'Locks that were asked for, by outcome.',
  });
  private readonly waitDuration = this.meter.createHistogram('lock.wait.duration', {
    description: 'How long a call waited for a lock.',
    unit: 's',
  });
  private readonly holdDuration = this.meter.createHistogram('lock.hold.duration', {
    description: 'How long a lock was held.',
    unit: 's',
  });

  override wait<T>(call: LockEvent, waiting: () => Promise<T>): Promise<T> {
    return this.measure('lock.wait', call, waiting, this.waitDuration, (attributes) =>
      this.requests.add(1, attributes),
    );
  }

  override hold<T>(call: LockEvent, work: () => Promise<T>): Promise<T> {
    return this.measure('lock.hold', call, work, this.holdDuration, () => undefined);
  }

  private measure<T>(
    name: string,
    call: LockEvent,
    work: () => Promise<T>,
    duration: Histogram,
    count: (attributes: Attributes) => void,
  ): Promise<T> {
    const attributes = attributesOf(call);
    const startedAt = performance.now();
    return this.tracer.startActiveSpan(name, { kind: SpanKind.INTERNAL, attributes }, async (span) => {
      let outcome = SUCCESS;
      try {
        return await work();
      } catch (error) {
        outcome = outcomeOf(error);
        // Being turned away is an answer, not a fault.
        if (!(error instanceof LockBusyError))
          span.setStatus({ code: SpanStatusCode.ERROR, message: outcome });
        throw error;
      } finally {
        const measured = { ...attributes, 'lock.outcome': outcome };
        span.setAttribute('lock.outcome', outcome).end();
        duration.record((performance.now() - startedAt) / 1_000, measured);
        count(measured);
      }
    });
  }
}

const SUCCESS = 'ok';

function attributesOf({ key, template, strategy, label }: LockEvent): Attributes {
  return { 'lock.resource': template ?? resourceOf(key), 'lock.strategy': strategy, 'lock.caller': label };
}

function outcomeOf(error: unknown): string {
  if (error instanceof LockBusyError) return 'busy';
  if (error instanceof LockUnavailableError) return 'unavailable';
  if (error instanceof LockLostError) return 'lost';
  return error instanceof LockError ? error.code : 'failed';
}
