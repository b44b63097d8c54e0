import { bulk } from './resp.js';

/** The keys of a script, written down once for all the commands of a lock. */
export interface ScriptKeys {
  readonly names: readonly string[];
  /** Their number and they themselves, as Redis reads them. */
  readonly written: string;
}

export function scriptKeys(names: readonly string[]): ScriptKeys {
  return { names, written: bulk(String(names.length)) + names.map(bulk).join('') };
}
