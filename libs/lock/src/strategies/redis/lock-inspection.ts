import type { LockInspection } from '../../locking/lock-strategy.js';
import { describeInstance, INSTANCE_ID_LENGTH } from './instance-id.js';

/** Nobody: the lock is free, or stays closed for the rest of a `holdAtLeast`. */
const NOBODY = '.'.repeat(INSTANCE_ID_LENGTH);
const QUARANTINE = '!'.repeat(INSTANCE_ID_LENGTH);

/** The reply of inspect.lua, for people. */
export function inspectionOf(name: string, reply: string): LockInspection {
  const now = reply.slice(2, 15);
  const colon = reply.indexOf(';', 15);
  const length = Number(reply.slice(15, colon));
  const state = reply.slice(colon + 1, colon + 1 + length);
  const members = reply.slice(colon + 1 + length);
  const waiters = members === '' ? [] : members.split(',').map(describeWaiter);
  const ends = state.slice(17, 30);
  if (ends <= now) return { name, held: false, waiters };
  const remaining = Number(ends) - Number(now);
  const holder = state.slice(46, 78);
  if (holder === NOBODY) {
    return { name, held: true, holder: 'holdAtLeast of an earlier holder', remaining, waiters };
  }
  if (holder === QUARANTINE) {
    return {
      name,
      held: true,
      holder: 'nobody for a lease, because Redis lost its data',
      remaining,
      waiters,
    };
  }
  const token = Number(state.slice(30, 46));
  // A token is the time of its grant, in microseconds, unless clocks were set back or many came at once.
  const since = new Date(Math.floor(token / 1_000));
  const heldFor = Math.max(0, Number(now) - since.getTime());
  return { name, held: true, holder: describeInstance(holder), since, heldFor, remaining, token, waiters };
}

function describeWaiter(member: string): string {
  const seq = member.slice(INSTANCE_ID_LENGTH, member.indexOf(':', INSTANCE_ID_LENGTH));
  return `call ${seq} of ${describeInstance(member.slice(0, INSTANCE_ID_LENGTH))}`;
}
