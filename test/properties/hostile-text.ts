import fc from 'fast-check';

/** Text as callers type it when they mean harm, or nothing by it: what keys are made of, and what Unicode can do. */
export const hostileText: fc.Arbitrary<string> = fc.oneof(
  fc.string({ unit: 'binary', minLength: 1, maxLength: 20 }),
  fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }),
  fc
    .array(
      fc.constantFrom(
        ...[':', '%', '%3A', '<', '>', '{', '}', '{}', '*', ' ', '\n', '\0', '\u007f', '\u0085', '/', '..'],
        ...['a', 'A', '\u00e9', 'e\u0301', '\u212b', '\ud83d\ude00', '\ud800', '\udc00', '\u200d', '\u202e'],
        ...['undefined', 'null', 'constructor', '__proto__', 'stock', '0', '-0', '1e21', 'lock:{x}:queue'],
      ),
      { minLength: 1, maxLength: 6 },
    )
    .map((parts) => parts.join('')),
);

/** What somebody might take for one: by case, normal form, trimming, escapes, or because UTF-8 has no form for it. */
const ALIKE: readonly (readonly [string, string])[] = [
  ...pairs('A', 'a', '\u00df', 'ss', '\u0130', 'i\u0307', '\u03c2', '\u03c3'),
  ...pairs('\u00e9', 'e\u0301', '\u212b', '\u00c5', '\ufb01', 'fi', '\uff11', '1'),
  ...pairs(' ', '', '\n', '', '\u00a0', '', '\ufeff', '', '\u200d', '', '\0', '', '  ', ' ', '\t', ' '),
  ...pairs(':', '%3A', '%3A', '%3a', '%3A', '%253A', '%', '%25', '+', ' ', '%20', ' ', '\0', '%00'),
  ...pairs('{', '%7B', '}', '%7D', '<', '%3C', '>', '%3E', '{', '', '}:queue', '', ':queue', ''),
  ...pairs(
    '\ud800',
    '\udc00',
    '\ud800',
    '\ufffd',
    '\udc00',
    '\ufffd',
    '\ud83d\ude00',
    '\ud83d',
    '\ud800',
    '',
  ),
  ...pairs('0', '-0', '0', '00', '1', '1.0', '1e3', '1000', ':', '/', '.', '..'),
];

const REWRITES: readonly ((text: string) => string)[] = [
  (text) => text.toLowerCase(),
  (text) => text.toUpperCase(),
  (text) => text.trim(),
  (text) => text.normalize('NFC'),
  (text) => text.normalize('NFD'),
  (text) => text.normalize('NFKC'),
  (text) => Buffer.from(text).toString(),
  (text) => text.slice(0, -1),
  (text) => text.replace(/[:%<>{}\p{Cc}]/gu, encodeURIComponent),
  (text) => text.replace(/%[0-7][0-9a-f]/gi, decodeURIComponent),
  (text) => [...text].reverse().join(''),
];

/** Two texts that are not the same, but nearly: a collision is found here or nowhere. The second may be empty. */
export const alikeTexts: fc.Arbitrary<readonly [string, string]> = fc
  .oneof(
    fc
      .tuple(
        fc.option(hostileText, { nil: '' }),
        fc.constantFrom(...ALIKE),
        fc.option(hostileText, { nil: '' }),
      )
      .map(([before, [one, other], after]) => [before + one + after, before + other + after] as const),
    fc
      .tuple(hostileText, fc.constantFrom(...REWRITES))
      .map(([text, rewrite]) => [text, rewrite(text)] as const),
  )
  .filter(([one, other]) => one !== other);

function pairs(...texts: string[]): [string, string][] {
  return texts.flatMap((text, index) => (index % 2 === 0 ? [[text, texts[index + 1] ?? '']] : []));
}
