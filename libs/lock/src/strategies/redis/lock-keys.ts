import { scriptKeys, type ScriptKeys } from './script-keys.js';

/** The two keys of a lock. They share a hash tag, the whole encoded name, and so one slot of a Cluster. */
export interface LockKeys {
  readonly state: string;
  readonly queue: string;
  /** As most scripts take them. */
  readonly both: ScriptKeys;
}

/** Braces in a name would end the hash tag early, and `%` has to stay unambiguous. */
export function stateKey(prefix: string, name: string): string {
  return `${prefix}{${name.replace(/[%{}]/g, encodeURIComponent)}}`;
}

export function lockKeys(prefix: string, name: string): LockKeys {
  return keysOfState(stateKey(prefix, name));
}

export function keysOfState(state: string): LockKeys {
  const queue = `${state}:queue`;
  return { state, queue, both: scriptKeys([state, queue]) };
}
