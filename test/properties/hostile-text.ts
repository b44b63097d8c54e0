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
