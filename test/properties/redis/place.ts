/** A waiter's entry in the queue. */
export interface Place {
  readonly instance: string;
  readonly seq: number;
  /** Milliseconds. */
  readonly lease: number;
  /** How many tokens it needs. */
  readonly block: number;
  /** 0 before the server gave one. */
  readonly ticket: number;
}

/** As a member of the sorted set. */
export function memberOf({ instance, seq, lease, block }: Place): string {
  return `${instance}${seq}:${lease}:${block}`;
}

export function placeOf(member: string, ticket: number): Place {
  const [seq = 0, lease = 0, block = 0] = member.slice(32).split(':').map(Number);
  return { instance: member.slice(0, 32), seq, lease, block, ticket };
}

/** By ticket, and where that is the same as Redis does: by the member's bytes. */
export function compareMembers(one: Place, other: Place): number {
  return one.ticket - other.ticket || (memberOf(one) < memberOf(other) ? -1 : 1);
}
