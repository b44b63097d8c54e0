import { parseArgs } from 'node:util';

/** What was asked for. */
export interface CommandLine {
  /** The benchmarks to run, all where there are none. */
  readonly names: readonly string[];
  readonly seconds: number | undefined;
  readonly strategies: readonly string[] | undefined;
  readonly bypass: number;
}

export function readCommandLine(args: readonly string[], known: readonly string[]): CommandLine {
  const { positionals, values } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      seconds: { type: 'string' },
      strategies: { type: 'string' },
      bypass: { type: 'string' },
    },
  });
  const unknown = positionals.filter((name) => !known.includes(name));
  if (unknown.length > 0) throw new Error(`No benchmark "${unknown.join('", "')}": ${known.join(', ')}.`);
  return {
    names: positionals,
    seconds: values.seconds === undefined ? undefined : positive('seconds', values.seconds),
    strategies: values.strategies?.split(','),
    bypass: values.bypass === undefined ? 0 : positive('bypass', values.bypass),
  };
}

function positive(option: string, text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new Error(`--${option} must be a number above 0, not "${text}".`);
  return value;
}
