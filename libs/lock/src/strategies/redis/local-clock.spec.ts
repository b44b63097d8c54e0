import { LocalClock } from './local-clock.js';
import { RedisClock } from './redis-clock.js';

describe('the local clock', () => {
  let monotonic = 0;
  let wall = 0;
  const clock = new LocalClock(
    () => monotonic,
    () => wall,
  );

  it('counts the time in which the machine was suspended', () => {
    const before = clock.now();
    monotonic += 5;
    wall += 5 + 60_000;
    expect(clock.now() - before).toBe(60_005);
  });

  it('does not go back, nor miss a suspension, when somebody sets the wall clock back', () => {
    const before = clock.now();
    wall -= 3_600_000;
    expect(clock.now()).toBe(before);
    wall += 10_000;
    expect(clock.now() - before).toBe(10_000);
  });

  it('does not add up what two clocks differ by in rounding', () => {
    const before = clock.now();
    for (let step = 0; step < 1_000; step += 1) {
      monotonic += 0.5;
      wall = Math.round(wall + 0.5);
      clock.now();
    }
    expect(clock.now() - before).toBe(500);
  });
});

describe("what is known of Redis' clock", () => {
  it('ends a lease no later than the fastest answer allows', () => {
    const clock = new RedisClock();
    clock.observe(10_050, 0, 100);
    clock.observe(10_110, 100, 120);
    expect(clock.earliest(11_010, 120)).toBeCloseTo(1_000, 5);
    clock.observe(10_500, 400, 600);
    expect(clock.earliest(11_010, 600)).toBeLessThanOrEqual(1_000);
  });

  it('trusts a bound less with time, for clocks drift', () => {
    const clock = new RedisClock();
    clock.observe(1_000, 0, 1);
    const soon = clock.earliest(10_000, 10) ?? 0;
    expect(clock.earliest(10_000, 60_000)).toBeLessThan(soon - 50);
  });

  it('starts anew when the clock of the server was set forward', () => {
    const clock = new RedisClock();
    clock.observe(1_000, 0, 1);
    clock.observe(61_010, 10, 11);
    expect(clock.earliest(62_000, 11)).toBe(1_000);
  });
});
