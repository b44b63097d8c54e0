import { faultSchedule, PROCESS_FAULTS, STORE_FAULTS, type ScheduleRequest } from './fault-schedule';

const REQUEST: ScheduleRequest = {
  seed: 7,
  kinds: [...PROCESS_FAULTS, ...STORE_FAULTS],
  processes: ['w1', 'w2', 'w3'],
  duration: 60_000,
  lease: 1_000,
};

describe('a schedule of faults', () => {
  it('is the same for the same seed, and another for another', () => {
    expect(faultSchedule(REQUEST)).toEqual(faultSchedule(REQUEST));
    expect(faultSchedule({ ...REQUEST, seed: 8 })).not.toEqual(faultSchedule(REQUEST));
  });

  it('has every kind in it that it may have, and no other', () => {
    const kinds = new Set(
      [1, 2, 3].flatMap((seed) => faultSchedule({ ...REQUEST, seed }).map(({ kind }) => kind)),
    );
    expect([...kinds].sort()).toEqual([...REQUEST.kinds].sort());
    const only = faultSchedule({ ...REQUEST, kinds: ['kill'] });
    expect(only.length).toBeGreaterThan(10);
    expect(only.every(({ kind, target }) => kind === 'kill' && target !== undefined)).toBe(true);
  });

  it('hits nothing that is hit already, and is over before the round', () => {
    const faults = faultSchedule(REQUEST);
    for (const [index, fault] of faults.entries()) {
      expect(fault.at + fault.duration).toBeLessThanOrEqual(REQUEST.duration);
      const earlier = faults.slice(0, index).filter(({ target }) => target === fault.target);
      expect(earlier.every(({ at, duration }) => at + duration <= fault.at)).toBe(true);
    }
  });

  it('stops processes for shorter and for longer than a lease', () => {
    const stops = faultSchedule({ ...REQUEST, kinds: ['stop'] }).map(({ duration }) => duration);
    expect(Math.min(...stops)).toBeLessThan(REQUEST.lease / 2);
    expect(Math.max(...stops)).toBeGreaterThan(REQUEST.lease * 1.2);
  });

  it('is empty without a kind of fault', () => {
    expect(faultSchedule({ ...REQUEST, kinds: [] })).toEqual([]);
  });
});
