import { context, metrics, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { LockEvents } from '../locking/lock-events.js';
import type { LockCall } from '../locking/lock-call.js';
import { LockExecutor } from '../locking/lock-executor.js';
import { LockStrategies } from '../locking/lock-strategies.js';
import { LockStrategyProvider } from '../locking/lock-strategy.provider.js';
import { memoryLock } from '../strategies/memory/index.js';
import { openTelemetry } from './open-telemetry.js';

describe('spans and metrics of locks', () => {
  const spans = new InMemorySpanExporter();
  const measurements = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const reader = new PeriodicExportingMetricReader({
    exporter: measurements,
    exportIntervalMillis: 3_600_000,
  });
  const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] });
  const meterProvider = new MeterProvider({ readers: [reader] });
  let strategies: LockStrategies;
  let locks: LockExecutor;

  beforeAll(() => {
    context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
    trace.setGlobalTracerProvider(tracerProvider);
    metrics.setGlobalMeterProvider(meterProvider);
    strategies = new LockStrategies({
      factories: { default: memoryLock({ shutdownTimeout: 0 }) },
      resolve: () => undefined as never,
    });
    const provider = new LockStrategyProvider(strategies);
    const instrumentation = openTelemetry();
    locks = new LockExecutor({ strategies, provider, events: new LockEvents(), instrumentation });
  });
  beforeEach(() => {
    spans.reset();
    measurements.reset();
  });
  afterAll(async () => {
    await strategies.close();
    await Promise.all([tracerProvider.shutdown(), meterProvider.shutdown()]);
    trace.disable();
    metrics.disable();
    context.disable();
  });

  const sell: LockCall = {
    keys: ['stock:secret-customer'],
    template: 'stock:<id>',
    label: 'Shop.sell',
    options: { waitTime: 0 },
  };
  const finished = (): readonly [string, unknown][] =>
    spans.getFinishedSpans().map(({ name, attributes }) => [name, attributes['lock.outcome']]);

  it('show the wait and the hold, with the spans of the work inside of the hold', async () => {
    const tracer = trace.getTracer('shop');
    await locks.run(sell, async () => tracer.startSpan('query').end());

    expect(finished()).toEqual([
      ['lock.wait', 'ok'],
      ['query', undefined],
      ['lock.hold', 'ok'],
    ]);
    const [wait, query, hold] = spans.getFinishedSpans();
    expect(query?.parentSpanContext?.spanId).toBe(hold?.spanContext().spanId);
    expect(wait?.attributes).toMatchObject({
      'lock.resource': 'stock:<id>',
      'lock.strategy': 'default',
      'lock.caller': 'Shop.sell',
    });
  });

  it('tell busy, lost and failed apart', async () => {
    const holder = await locks.acquire(sell);
    await locks.run(sell, () => Promise.resolve()).catch(() => undefined);
    await holder.release();
    await locks
      .run(
        sell,
        () => strategies.get('default').forceRelease?.('stock:secret-customer') ?? Promise.resolve(false),
      )
      .catch(() => undefined);
    await locks.run(sell, () => Promise.reject(new Error('sold out'))).catch(() => undefined);

    expect(finished()).toEqual([
      ['lock.wait', 'ok'],
      ['lock.wait', 'busy'],
      ['lock.wait', 'ok'],
      ['lock.hold', 'lost'],
      ['lock.wait', 'ok'],
      ['lock.hold', 'failed'],
    ]);
  });

  it('count requests and measure seconds, and never name a raw key', async () => {
    await locks.run({ ...sell, template: undefined }, () => Promise.resolve());
    await meterProvider.forceFlush();
    const exported = measurements
      .getMetrics()
      .flatMap(({ scopeMetrics }) => scopeMetrics.flatMap((scope) => scope.metrics));
    expect(exported.map(({ descriptor: { name, unit } }) => [name, unit]).sort()).toEqual([
      ['lock.hold.duration', 's'],
      ['lock.requests', ''],
      ['lock.wait.duration', 's'],
    ]);
    const attributes = exported.flatMap(({ dataPoints }) => dataPoints.map((point) => point.attributes));
    expect(attributes).toContainEqual(
      expect.objectContaining({ 'lock.resource': 'stock', 'lock.outcome': 'ok' }),
    );
    expect(
      JSON.stringify([attributes, spans.getFinishedSpans().map((span) => span.attributes)]),
    ).not.toContain('secret');
  });
});
