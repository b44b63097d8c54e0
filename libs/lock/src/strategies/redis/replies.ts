/** The first character of every reply of a script and of every message of an inbox. */
export const ReplyCode = {
  /** The lock is held by places of this instance. */
  GRANTED: 'G',
  /** The places are in the queue. */
  QUEUED: 'Q',
  /** Somebody else holds the lock, and the call did not want to wait. */
  BUSY: 'B',
  /** The grant was given back. */
  RELEASED: 'R',
  /** The grant is not in force any more; there was nothing to give back. */
  NOT_YOURS: 'N',
  /** The grant was prolonged. */
  EXTENDED: 'E',
  /** The grant is lost. */
  REFUSED: 'X',
  /** The places are out of the queue. */
  CANCELLED: 'C',
  /** A sweep looked, and somebody else holds the lock. */
  WATCHED: 'W',
  /** A message: the lock was taken away by force. */
  LOST: 'L',
} as const;

/** The lock is held by the places `seqs` of one instance; all times are milliseconds of Redis' clock. */
export interface GrantNote {
  readonly now: number;
  readonly ends: number;
  /** The token of the first place; the i-th one has `token + i * block`. */
  readonly token: number;
  /** The same as the scripts write it: 16 digits. */
  readonly tokenText: string;
  readonly lease: number;
  readonly block: number;
  readonly seqs: readonly number[];
}

/** A place of this instance in the queue, and the ticket that it has there. */
export interface TicketNote {
  readonly seq: number;
  readonly ticket: number;
}

/** What `acquire` and `sweep` say about a lock that somebody else holds. */
export interface HeldNote {
  readonly now: number;
  readonly ends: number;
}

/** The script stopped at its limit: whoever called it has to sweep at once. */
export function wantsSweep(reply: string): boolean {
  return reply.charCodeAt(1) === 43;
}

/** An EXTENDED reply says that Redis had lost the grant. */
export function isWrittenAgain(reply: string): boolean {
  return reply.charCodeAt(1) === 43;
}

/** Redis' clock in a reply: all but RELEASED, NOT_YOURS and CANCELLED carry it. */
export function heldOf(reply: string): HeldNote {
  return { now: digitsOf(reply, 2, 15), ends: digitsOf(reply, 15, 28) };
}

export function grantOf(reply: string): GrantNote {
  return parseGrant(reply, 2);
}

const NO_TICKETS: readonly TicketNote[] = [];

/** The tickets of a GRANTED or QUEUED reply of `acquire`. */
export function ticketsOf(reply: string): readonly TicketNote[] {
  if (reply.endsWith(';')) return NO_TICKETS;
  const list = reply.slice(reply.lastIndexOf(';') + 1);
  return list.split(',').map((item) => {
    const [seq, ticket] = item.split(':');
    return { seq: Number(seq), ticket: Number(ticket) };
  });
}

/** How many are queued, from a QUEUED or BUSY reply. */
export function lengthOf(reply: string): number {
  return Number(reply.slice(28, reply.indexOf(';', 28)));
}

/** The instance that holds the lock, from a BUSY reply. */
export function holderOf(reply: string): string {
  return reply.slice(reply.indexOf(';', 28) + 1);
}

export function watchedOf(reply: string): HeldNote & {
  readonly queued: boolean;
  readonly subscribed: boolean;
} {
  return { ...heldOf(reply), queued: reply[28] === '1', subscribed: reply[29] === '1' };
}

/** A message of an inbox. The key comes last, as the rest of the line: names contain spaces. */
export function messageOf(message: string): { readonly key: string; readonly body: string } {
  const space = message.indexOf(' ');
  return { body: message.slice(0, space), key: message.slice(space + 1) };
}

/** The grant in a GRANTED message's body. */
export function grantOfMessage(body: string): GrantNote {
  return parseGrant(body, 1);
}

/** The token in a LOST message's body. */
export function tokenOfMessage(body: string): number {
  return Number(body.slice(1, 17));
}

/** `now(13) ends(13) token(16) lease:block;seqs`, from a place in a text on. */
function parseGrant(text: string, from: number): GrantNote {
  const colon = text.indexOf(':', from + 42);
  const afterTerms = text.indexOf(';', colon);
  const semicolon = text.indexOf(';', afterTerms + 1);
  const end = semicolon < 0 ? text.length : semicolon;
  const comma = text.indexOf(',', afterTerms);
  return {
    now: digitsOf(text, from, from + 13),
    ends: digitsOf(text, from + 13, from + 26),
    token: digitsOf(text, from + 26, from + 42),
    tokenText: text.slice(from + 26, from + 42),
    lease: digitsOf(text, from + 42, colon),
    block: digitsOf(text, colon + 1, afterTerms),
    seqs:
      comma < 0 || comma > end
        ? [digitsOf(text, afterTerms + 1, end)]
        : text
            .slice(afterTerms + 1, end)
            .split(',')
            .map(Number),
  };
}

/** A whole number within a text. `Number(text.slice(…))` takes twice as long, and a grant has five of them. */
function digitsOf(text: string, from: number, to: number): number {
  let value = 0;
  for (let at = from; at < to; at += 1) value = value * 10 + text.charCodeAt(at) - 48;
  return value;
}

/** A ticket or token as the scripts want it: 16 digits. */
export function sixteenDigits(value: number): string {
  const digits = String(value);
  return digits.length === 16 ? digits : digits.padStart(16, '0');
}
