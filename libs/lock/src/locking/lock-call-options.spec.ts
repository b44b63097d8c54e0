import {
  checkLockDefaults,
  checkLockOptions,
  resolveLockOptions,
  type LockOptions,
} from './lock-call-options.js';
import { LockConfigurationError } from './lock-error.js';

describe('the options of a lock', () => {
  it.each<[object, RegExp]>([
    [{ waitTime: -1 }, /Shop\.sell: waitTime must be .* from 0 to 2147483647, or Infinity, got -1/],
    [{ waitTime: Number.NaN }, /waitTime .* got NaN/],
    [{ waitTime: '5s' }, /waitTime .* got '5s'/],
    [{ ttl: 10 }, /ttl must be a number of milliseconds from 100 to 86400000, got 10/],
    [{ ttl: Infinity }, /ttl .* got Infinity/],
    [{ holdAtMost: 0 }, /holdAtMost .* got 0/],
    [{ holdAtLeast: Infinity }, /holdAtLeast .* got Infinity/],
    [{ whenBusy: 'wait' }, /whenBusy must be 'throw', 'skip' or a function/],
    [{ whenLost: 'run' }, /whenLost must be 'throw' or 'ignore', got 'run'/],
    [{ whenUnavailable: 'ignore' }, /whenUnavailable must be 'throw' or 'run'/],
    [{ strategy: '' }, /strategy must be the name/],
    [{ transaction: 1 }, /transaction must be/],
    [{ transaction: '' }, /transaction must be/],
    [{ leaseTime: 5_000 }, /no option "leaseTime"\. It is called "holdAtMost" here/],
    [{ lockAtMostFor: 5_000 }, /It is called "ttl" here/],
    [{ whatever: 1 }, /no option "whatever"\. There are waitTime, ttl/],
    [{ holdAtLeast: 2_000, holdAtMost: 1_000 }, /holdAtLeast must not be above holdAtMost, which is 1000/],
    [{ whenUnavailable: 'run', transaction: true }, /contradict each other/],
  ])('refuses %j', (options, message) => {
    expect(() => checkLockOptions(options as LockOptions, 'Shop.sell')).toThrow(LockConfigurationError);
    expect(() => checkLockOptions(options as LockOptions, 'Shop.sell')).toThrow(message);
  });

  it.each<LockOptions>([
    {},
    { waitTime: Infinity },
    { waitTime: 0, ttl: 100, holdAtMost: 100, holdAtLeast: 100 },
    { whenBusy: () => 'sold out', whenLost: 'ignore', whenUnavailable: 'run', transaction: false },
  ])('accepts %j', (options) => {
    expect(() => checkLockOptions(options, 'Shop.sell')).not.toThrow();
  });

  it('keeps what a single method promises out of the defaults of the module', () => {
    expect(() =>
      checkLockDefaults({ whenBusy: 'skip' } as object, 'LockModule.forRoot({ defaults })'),
    ).toThrow(/whenBusy can't be a default.*Set it on the method/);
  });

  it('takes the method over the module and the module over the library', () => {
    const resolved = resolveLockOptions({ ttl: 1_000, waitTime: undefined }, { ttl: 2_000, waitTime: 300 });
    expect(resolved).toMatchObject({ ttl: 1_000, waitTime: 300, holdAtLeast: 0, whenBusy: 'throw' });
  });

  it('does not wait to skip, unless it is told to', () => {
    expect(resolveLockOptions({ whenBusy: 'skip' }, { waitTime: 300 }).waitTime).toBe(0);
    expect(resolveLockOptions({ whenBusy: 'skip', waitTime: 50 }).waitTime).toBe(50);
  });
});
