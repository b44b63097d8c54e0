import fc from 'fast-check';
import { GrantWatch, type Granted } from './grant-watch';
import { LockModel, microseconds, queueOf, stateOf } from './lock-model';
import type { Place } from './place';
import { ScriptBench } from './script-bench';

/** Ids of 32 characters; the last of them is dead from the start. */
const INSTANCES = ['one', 'two', 'three', 'dead'].map((name) => name.padEnd(32, '_'));
const DEAD = INSTANCES.at(-1);

const LEASES = [100, 250];

/** What a sequence of commands works on: the same is done to the model and to Redis, and compared. */
interface World {
  readonly bench: ScriptBench;
  readonly model: LockModel;
  readonly watch: GrantWatch;
  readonly keys: readonly [string, string];
  readonly places: Place[];
  /** Every command that was sent, to send it again. */
  sent: (() => Promise<void>)[];
  lastSeq: number;
  /** How far back the clock may be set. */
  earliest: number;
  /** Microseconds, once it was restarted: those who ask say so with `afterRestart: 'always'` while it is young. */
  startedAt: number | undefined;
}

/** One thing that happens. Numbers choose among what there is: `which` modulo its length. */
type Step =
  | {
      readonly do: 'acquire';
      readonly instance: number;
      readonly waits: boolean;
      readonly lease: number;
      readonly block: number;
      readonly young: boolean;
    }
  | { readonly do: 'come back'; readonly instance: number; readonly young: boolean }
  | { readonly do: 'release'; readonly which: number; readonly hold: number | undefined }
  | { readonly do: 'extend'; readonly which: number; readonly lease: number }
  | { readonly do: 'cancel'; readonly which: number }
  | { readonly do: 'sweep'; readonly which: number }
  | { readonly do: 'force release'; readonly instance: number }
  | { readonly do: 'repeat'; readonly which: number }
  | { readonly do: 'shift clock'; readonly by: number }
  | { readonly do: 'die or live'; readonly instance: number }
  | { readonly do: 'restart without data' }
  | { readonly do: 'lose data unseen' };

const instance = fc.nat(INSTANCES.length - 2);
const which = fc.nat(30);
const lease = fc.constantFrom(...LEASES);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('acquire' as const),
      instance: fc.nat(3),
      waits: fc.constantFrom(true, true, true, false),
      lease,
      block: fc.constantFrom(1, 1, 5),
      young: fc.constantFrom(false, false, false, true),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('come back' as const), instance, young: fc.boolean() }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('release' as const),
      which: fc.nat(3),
      hold: fc.constantFrom(undefined, undefined, undefined, 40),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('extend' as const), which: fc.nat(3), lease }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('cancel' as const), which }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('sweep' as const), which }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('force release' as const), instance }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('repeat' as const), which }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('shift clock' as const),
      by: fc.constantFrom(1, 20, 60, 60, 120, 300, -50, -400),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('die or live' as const), instance }) },
  {
    weight: 1,
    arbitrary: fc.constantFrom({ do: 'restart without data' as const }, { do: 'lose data unseen' as const }),
  },
);

describe('the scripts of the Redis lock, against a model', () => {
  let bench: ScriptBench;
  let runs = 0;

  beforeAll(async () => {
    bench = await ScriptBench.open();
  });
  afterAll(() => bench.close());

  const play = async (steps: readonly Step[]): Promise<World> => {
    runs += 1;
    const key = `{model ${process.pid} ${runs}}`;
    const world: World = {
      bench,
      model: new LockModel(key),
      watch: new GrantWatch(),
      keys: [key, `${key}:queue`],
      places: [],
      sent: [],
      lastSeq: 0,
      earliest: 0,
      startedAt: undefined,
    };
    for (const id of INSTANCES) {
      if (id === DEAD) continue;
      await bench.listen(id);
      world.model.living.add(id);
    }
    for (const one of steps) await take(one, world);
    await bench.redis.del(...world.keys);
    return world;
  };

  it('do what the model does, in any order, repeated, and with a clock that jumps', async () => {
    let grants = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 60, maxLength: 100, size: 'max' }), async (steps) => {
        grants += (await play(steps)).watch.all.length;
      }),
      { numRuns: 100, timeout: 10_000, interruptAfterTimeLimit: 60_000 },
    );
    // Else the sequences would say little. A slow machine has time for fewer of them.
    expect(grants / runs).toBeGreaterThan(4);
  }, 120_000);
});

async function take(step: Step, world: World): Promise<void> {
  const { model, places, sent, watch } = world;
  switch (step.do) {
    case 'acquire': {
      world.lastSeq += 1;
      const id = at(INSTANCES, step.instance);
      const place: Place = {
        instance: id,
        seq: world.lastSeq,
        lease: step.lease,
        block: step.block,
        ticket: 0,
      };
      places.push(place);
      return send(world, acquire(world, id, step.waits, [place.seq], step.young));
    }
    case 'come back': {
      const id = at(INSTANCES, step.instance);
      const seqs = places.filter(({ instance: of }) => of === id).map(({ seq }) => seq);
      return seqs.length === 0 ? undefined : send(world, acquire(world, id, true, seqs, step.young));
    }
    case 'release': {
      const grant = recent(watch.all, step.which);
      return grant && send(world, () => release(world, grant, step.hold));
    }
    case 'extend': {
      const grant = recent(watch.known, step.which);
      return grant && send(world, () => extend(world, grant, step.lease));
    }
    case 'cancel': {
      const place = recent(places, step.which);
      return place && send(world, () => cancel(world, place));
    }
    case 'sweep': {
      const place = recent(places, step.which);
      return place && send(world, () => sweep(world, place));
    }
    case 'force release':
      return send(world, () => forceRelease(world, at(INSTANCES, step.instance)));
    case 'repeat':
      return recent(sent, step.which)?.();
    case 'shift clock':
      model.micros = Math.max(world.earliest, model.micros + step.by * 1_000);
      watch.passed(model.now);
      return;
    case 'die or live':
      return dieOrLive(world, at(INSTANCES, step.instance));
    case 'restart without data':
      await loseData(world);
      world.startedAt = model.micros;
      // The connections end with the server: nothing that was sent to it before is run by the next one.
      world.sent = [];
      // Who asks waits for a lease of its own, so a holder with a longer one is promised no more than the shortest.
      return watch.restarted(model.now + Math.min(...LEASES));
    case 'lose data unseen':
      await loseData(world);
      // FLUSHALL, or `afterRestart: 'seen'` where nobody saw it: two may hold until the older one renews.
      return watch.over();
  }
}

async function loseData(world: World): Promise<void> {
  const { bench, keys, model, watch } = world;
  // Tokens go on from the clock then, so one that is set back behind the loss would be too much.
  world.earliest = Math.max(model.micros, model.state?.counter ?? 0, watch.highest) + 5_000;
  model.micros = world.earliest;
  watch.passed(model.now);
  model.forget();
  await bench.redis.del(...keys);
}

/** Sends a command, and remembers it: it may come once more at any time. */
async function send(world: World, command: () => Promise<void>): Promise<void> {
  world.sent.push(command);
  await command();
}

/** The command, made once: a late copy has the tickets that were known when it was sent first. */
function acquire(
  world: World,
  id: string,
  waits: boolean,
  seqs: readonly number[],
  young: boolean,
): () => Promise<void> {
  const { model } = world;
  const asked = world.places.filter(({ seq }) => seqs.includes(seq));
  // The server was started a moment ago, and may have forgotten who holds what.
  const startedAt = startOf(world, asked) ?? (young ? model.micros - 30_000 : undefined);
  const wanted = asked
    .map(
      ({ seq, lease: time, block, ticket }) =>
        `${seq}:${time}:${block}:${ticket === 0 ? '0' : microseconds(ticket)}`,
    )
    .join(',');
  const args = [`${id}${waits ? 'W' : 'T'}${wanted}`, world.bench.wire];
  if (startedAt !== undefined) args.push(microseconds(startedAt));
  return async () => {
    const reply = await run(world, 'acquire', id, args, model.acquire(id, waits, asked, startedAt));
    for (const [, seq = '', ticket = ''] of reply.slice(reply.lastIndexOf(';')).matchAll(/(\d+):(\d{16})/g)) {
      const index = world.places.findIndex((place) => place.seq === Number(seq));
      const place = world.places[index];
      if (place !== undefined) world.places[index] = { ...place, ticket: Number(ticket) };
    }
  };
}

/** When the server was restarted, while it is no older than the longest lease that is asked for. */
function startOf({ model, startedAt }: World, asked: readonly Place[]): number | undefined {
  if (startedAt === undefined) return undefined;
  const age = model.now - Math.floor(startedAt / 1_000);
  return age <= Math.max(...asked.map(({ lease: time }) => time)) ? startedAt : undefined;
}

async function release(
  world: World,
  { token, instance: id }: Granted,
  hold: number | undefined,
): Promise<void> {
  const expected = world.model.release(token, id, hold);
  if (!expected.startsWith('N')) world.watch.over();
  const args = [microseconds(token) + id, world.bench.wire];
  if (hold !== undefined) args.push(String(hold));
  await run(world, 'release', id, args, expected);
}

async function extend(world: World, grant: Granted, time: number): Promise<void> {
  const { token, instance: id, terms, seqs } = grant;
  const last = token + seqs.length * Number(terms.split(':')[1]) - 1;
  const expected = world.model.extend(grant, time);
  if (expected.startsWith('E')) world.watch.extended(grant, Number(expected.slice(15, 28)), world.model.now);
  await run(
    world,
    'extend',
    id,
    [microseconds(token) + id, String(time), `${microseconds(last)}${terms};${seqs.join(',')}`],
    expected,
  );
}

async function cancel(world: World, { instance: id, seq, lease: time, block }: Place): Promise<void> {
  const expected = world.model.cancel(id, [{ instance: id, seq, lease: time, block, ticket: 0 }]);
  await run(world, 'cancel', id, [`${id}${seq}:${time}:${block}`], expected);
}

async function sweep(world: World, place: Place): Promise<void> {
  const { instance: id, seq, lease: time, block } = place;
  const expected = world.model.sweep(id, place);
  await run(world, 'sweep', id, [`${id}${seq}:${time}:${block}`, world.bench.wire], expected);
}

async function forceRelease(world: World, id: string): Promise<void> {
  const expected = world.model.forceRelease(id);
  if (!expected.startsWith('N')) world.watch.over();
  await run(world, 'forceRelease', id, [id, world.bench.wire], expected);
}

async function dieOrLive({ bench, model }: World, id: string): Promise<void> {
  if (model.living.delete(id)) {
    await bench.leave(id);
    return;
  }
  model.living.add(id);
  await bench.listen(id);
}

/** Runs a script and compares what it replied, what it sent, and what it left. */
async function run(
  world: World,
  script: Parameters<ScriptBench['run']>[0],
  caller: string,
  args: readonly string[],
  expected: string,
): Promise<string> {
  const { bench, model, keys, watch } = world;
  const reply = await bench.run(script, model.micros, keys, args);
  const messages = await bench.messages();
  expect({ reply, messages }).toEqual({ reply: expected, messages: model.sent });
  model.sent = [];
  expect(stateOf(await bench.redis.get(keys[0]))).toEqual(model.state);
  expect(queueOf(await bench.queue(keys[1]))).toEqual(model.queue);
  if (reply.startsWith('G')) watch.heard(caller, reply.slice(2), model.now);
  for (const message of messages) {
    if (message[33] === 'G')
      watch.heard(message.slice(0, 32), message.slice(34, message.indexOf(' {')), model.now);
  }
  return reply;
}

function at<T>(items: readonly T[], index: number): T {
  const item = items[index % items.length];
  if (item === undefined) throw new Error('There is nothing to choose from.');
  return item;
}

/** Counted from the last: what happened lately is what matters most. */
function recent<T>(items: readonly T[], back: number): T | undefined {
  return items[items.length - 1 - (back % Math.max(1, items.length))];
}
