/** The two keys of a lock. They share a hash tag, the whole encoded name, and so one slot of a Cluster. */
export interface LockKeys {
  readonly state: string;
  readonly queue: string;
}

/** Braces in a name would end the hash tag early, and `%` has to stay unambiguous. */
export function lockKeys(prefix: string, name: string): LockKeys {
  return keysOfState(`${prefix}{${name.replace(/[%{}]/g, encodeURIComponent)}}`);
}

export function keysOfState(state: string): LockKeys {
  return { state, queue: `${state}:queue` };
}
