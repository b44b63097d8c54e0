import { LockKeyError } from './lock-error.js';
import { checkName, escapeSegment, resourceOf, unescapeSegment } from './lock-name.js';

describe('the name of a lock', () => {
  it.each(['a:b', '50%', '<x>', '{tag}', 'line\nbreak', '\u0085', 'plain', '한글 🔒', '%3A'])(
    'keeps the value %j within its own segment, and gives it back',
    (value) => {
      const segment = escapeSegment(value);
      expect(segment).not.toMatch(/[:<>{}\p{Cc}]/u);
      expect(unescapeSegment(segment)).toBe(value);
    },
  );

  it('gives two different values two different segments', () => {
    expect(escapeSegment('a:b')).not.toBe(escapeSegment('a%3Ab'));
  });

  it('names the resource by the first segment', () => {
    expect([resourceOf('stock:42'), resourceOf('settle'), resourceOf('a:b:c')]).toEqual([
      'stock',
      'settle',
      'a',
    ]);
  });

  it.each([
    ['', /not empty/],
    [undefined as unknown as string, /type undefined/],
    ['한'.repeat(342), /1026 bytes, and 1024 are the most/],
    ['a\u0000b', /control characters/],
    ['half \ud83d of a pair', /surrogate/],
  ])('refuses %j', (name, message) => {
    expect(() => checkName(name)).toThrow(LockKeyError);
    expect(() => checkName(name)).toThrow(message);
  });

  it('accepts 1 024 bytes of anything else', () => {
    expect(() => checkName('한'.repeat(341) + 'x')).not.toThrow();
    expect(() => checkName('with space, {brace} and <angle>')).not.toThrow();
  });
});
