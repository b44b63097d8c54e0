import { readCommandLine, UsageError, type Command } from './command-line.js';

const URL = 'redis://user:secret@localhost:6379/2';

describe('the command line', () => {
  it('says what to do, to which lock, and where', () => {
    expect(read(['inspect', 'stock:42', '--redis', URL])).toEqual<Command>({
      action: 'inspect',
      key: 'stock:42',
      place: { urls: [URL], prefix: undefined, cluster: false, sentinel: undefined },
      json: false,
      yes: false,
      timeout: 5_000,
    });
  });

  it('takes its options in any place, and nodes of a Cluster one by one or with commas', () => {
    const nodes = ['redis://a:1', 'redis://b:2', 'redis://c:3'];
    const args = ['--redis', nodes.slice(0, 2).join(), 'release', '--cluster', 'stock:42', '-y'];
    expect(read([...args, '--redis', nodes[2] ?? '', '--prefix', 'app:lock:'])).toMatchObject({
      action: 'release',
      key: 'stock:42',
      place: { urls: nodes, prefix: 'app:lock:', cluster: true },
      yes: true,
    });
  });

  it('takes the address from REDIS_URL where none is given, and not otherwise', () => {
    expect(read(['inspect', 'a'], URL)).toMatchObject({ place: { urls: [URL] } });
    const own = ['inspect', 'a', '--redis', 'redis://other'];
    expect(read(own, URL)).toMatchObject({ place: { urls: ['redis://other'] } });
  });

  it.each<[string, readonly string[]]>([
    ['help', ['--help']],
    ['help', ['inspect', '-h']],
    ['version', ['--version']],
  ])('answers %s without looking at the rest', (answer, args) => {
    expect(read(args)).toBe(answer);
  });

  it.each<[string, readonly string[], RegExp]>([
    ['nothing to do', [], /first word has to be inspect or release/],
    ['something else to do', ['free', 'a', '--redis', URL], /inspect or release/],
    ['no key', ['inspect', '--redis', URL], /Name the lock/],
    ['two keys', ['inspect', 'a', 'b', '--redis', URL], /Name one lock/],
    ['no address', ['inspect', 'a'], /Say where Redis is/],
    ['an address that is none', ['inspect', 'a', '--redis', 'user:secret@host'], /must be like redis:/],
    ['an address in the place of the key', ['inspect', URL, '--redis', URL], /belongs behind --redis/],
    ['an address beside the key', ['inspect', 'a', URL], /belongs behind --redis/],
    ['several addresses and no Cluster', ['inspect', 'a', '--redis', `${URL},${URL}`], /--cluster or/],
    ['a Cluster of Sentinels', ['inspect', 'a', '--cluster', '--sentinel', 'x'], /exclude each other/],
    ['an unknown option', ['inspect', 'a', '--force', '--redis', URL], /'--force'/],
    ['a misspelt option with an address', ['inspect', 'a', `--${URL}`], /Unknown option/],
    ['an endless wait', ['inspect', 'a', '--redis', URL, '--timeout', 'Infinity'], /whole milliseconds/],
    ['no time at all', ['inspect', 'a', '--redis', URL, '--timeout', '0'], /whole milliseconds/],
    ['a key of control characters', ['inspect', 'a\n', '--redis', URL], /control characters/],
  ])('is refused with %s, and without a word of a password', (_what, args, message) => {
    expect(() => read(args)).toThrow(UsageError);
    expect(() => read(args)).toThrow(message);
    expect(() => read(args)).toThrow(/^(?!.*secret)/s);
  });
});

function read(args: readonly string[], redisUrl?: string): ReturnType<typeof readCommandLine> {
  return readCommandLine(args, { REDIS_URL: redisUrl });
}
