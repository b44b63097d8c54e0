import { durationText, textOf } from './inspection-text.js';

describe('the words about a lock', () => {
  it.each([
    [0, '0.0 s'],
    [940, '0.9 s'],
    [59_999, '59 s'],
    [252_000, '4 min 12 s'],
    [3_600_000, '1 h'],
    [90_061_000, '1 d 1 h'],
  ])('say %d ms as %s', (duration, text) => {
    expect(durationText(duration)).toBe(text);
  });

  it('list the first of many who wait, in their order', () => {
    const waiters = Array.from({ length: 23 }, (_, place) => `call ${place}`);
    const lines = textOf({ name: 'stock:42', held: true, waiters }).trimEnd().split('\n');
    expect(lines.slice(0, 3)).toEqual(['stock:42 is held', '  waiting  23', '    1. call 0']);
    expect(lines.slice(-2)).toEqual(['    20. call 19', '    and 3 more']);
  });

  it('have no control characters, whoever wrote what stands in Redis', () => {
    const text = textOf({ name: 'stock:42', held: true, holder: 'x\u001b[2J\nfree', waiters: [] });
    expect(text).toContain('holder   x?[2J?free\n');
  });
});
