import {
  durationOfAll,
  type FaultKind,
  faultSchedule,
  PROCESS_FAULTS,
  STORE_FAULTS,
  type ScheduleRequest,
} from './fault-schedule';

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
    const kinds = new Set(faultSchedule(REQUEST).map(({ kind }) => kind));
    expect([...kinds].sort()).toEqual([...REQUEST.kinds].sort());
    const only = faultSchedule({ ...REQUEST, kinds: ['kill'] });
    expect(only.length).toBeGreaterThan(10);
    expect(only.every(({ kind, target }) => kind === 'kill' && target !== undefined)).toBe(true);
  });

  it.each<[FaultKind, FaultKind, FaultKind]>([
    ['restart-empty', 'kill', 'stop'],
    ['cut', 'client-kill', 'silence'],
    ['freeze', 'restart-keep', 'client-pause'],
  ])('has two kinds at least in a short round of %s, %s and %s, whatever the seed', (...kinds) => {
    for (let seed = 0; seed < 500; seed += 1) {
      const faults = faultSchedule({ ...REQUEST, seed, kinds, duration: 4_000 });
      expect(new Set(faults.map(({ kind }) => kind)).size).toBeGreaterThanOrEqual(2);
    }
  });

  it('has every kind in it when the round is as long as that takes, and no longer', () => {
    for (let seed = 0; seed < 100; seed += 1) {
      const request = { ...REQUEST, seed, duration: 4_000 };
      const duration = durationOfAll(request);
      const kinds = (length: number): number =>
        new Set(faultSchedule({ ...request, duration: length }).map(({ kind }) => kind)).size;
      expect(kinds(duration)).toBe(REQUEST.kinds.length);
      expect(kinds(duration - 1_000)).toBeLessThan(REQUEST.kinds.length);
    }
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
