import { ConnectionGate } from './connection-gate.js';

const never = new AbortController().signal;
const patient = { waitTime: 10_000, signal: never };

async function entered(gate: ConnectionGate, name: string): Promise<() => void> {
  if (!(await gate.enter(name, patient))) throw new Error(`"${name}" was not entered`);
  return () => gate.leave(name);
}

async function slot(gate: ConnectionGate): Promise<() => void> {
  const free = await gate.takeSlot(10_000, never);
  if (free === undefined) throw new Error('there was no slot');
  return free;
}

describe('the gate before the connections', () => {
  it('lets one caller a lock go, in the order of arrival, and others pass', async () => {
    const gate = new ConnectionGate(5);
    const leave = await entered(gate, 'a');
    const served: number[] = [];
    const waiters = [1, 2, 3].map(async (place) => {
      const next = await entered(gate, 'a');
      served.push(place);
      next();
    });
    (await entered(gate, 'b'))();
    expect(served).toEqual([]);
    expect(gate.waiting('a')).toBe(4);
    leave();
    await Promise.all(waiters);
    expect(served).toEqual([1, 2, 3]);
    expect(gate.waiting('a')).toBe(0);
  });

  it('sends who waits too long away, and who tries once at once', async () => {
    const gate = new ConnectionGate(5);
    const leave = await entered(gate, 'a');
    expect(await gate.enter('a', { waitTime: 0, signal: never })).toBe(false);
    expect(await gate.enter('a', { waitTime: 10, signal: never })).toBe(false);
    const abort = new AbortController();
    const aborted = gate.enter('a', { waitTime: 10_000, signal: abort.signal });
    abort.abort(new Error('enough'));
    await expect(aborted).rejects.toThrow('enough');
    leave();
    (await entered(gate, 'a'))();
    expect(gate.waiting('a')).toBe(0);
  });

  it('sends everybody away whose turn it is not yet', async () => {
    const gate = new ConnectionGate(5);
    const leave = await entered(gate, 'a');
    const waiters = [1, 2].map(() => gate.enter('a', patient));
    gate.dismissWaiters();
    expect(await Promise.all(waiters)).toEqual([false, false]);
    expect(gate.waiting('a')).toBe(1);
    leave();
    expect(gate.waiting('a')).toBe(0);
  });

  it('gives out so many connections and no more, in the order of arrival', async () => {
    const gate = new ConnectionGate(2);
    const free = [await slot(gate), await slot(gate)];
    const served: number[] = [];
    const waiters = [1, 2, 3].map(async (place) => {
      const next = await slot(gate);
      served.push(place);
      expect(gate.connections).toBeLessThanOrEqual(2);
      next();
    });
    expect(await gate.takeSlot(10, never)).toBeUndefined();
    expect(served).toEqual([]);
    free[0]?.();
    free[0]?.();
    await Promise.all(waiters);
    expect(served).toEqual([1, 2, 3]);
    free[1]?.();
    expect(gate.connections).toBe(0);
  });

  it('is idle when the last connection was given back', async () => {
    const gate = new ConnectionGate(2);
    await gate.idle();
    const free = [await slot(gate), await slot(gate)];
    let idle = false;
    const waiting = gate.idle().then(() => (idle = true));
    free[0]?.();
    await Promise.resolve();
    expect(idle).toBe(false);
    free[1]?.();
    await waiting;
  });

  it('forgets a wait for a connection that was given up', async () => {
    const gate = new ConnectionGate(1);
    const free = await slot(gate);
    const abort = new AbortController();
    const aborted = gate.takeSlot(10_000, abort.signal);
    await Promise.resolve();
    abort.abort(new Error('enough'));
    await expect(aborted).rejects.toThrow('enough');
    expect(await gate.takeSlot(5, never)).toBeUndefined();
    const next = slot(gate);
    free();
    (await next)();
    expect(gate.connections).toBe(0);
  });
});
