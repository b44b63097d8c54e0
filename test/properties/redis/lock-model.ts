import { compareMembers, type Place, placeOf } from './place';

/** Ids as long as those of instances, for nobody in particular. */
export const NOBODY = '.'.repeat(32);
export const QUARANTINE = '!'.repeat(32);

/** What the state of a lock says, as values. Times are milliseconds, tickets and tokens microseconds or more. */
export interface LockState {
  counter: number;
  queued: boolean;
  ends: number;
  token: number;
  holder: string;
  /** `lease:block` of the places that hold the lock. */
  terms: string;
  seqs: readonly number[];
  /** The youngest first. */
  suspects: readonly string[];
}

/** How the handing-on of a lock went. */
type Outcome = 'held' | 'own' | 'other' | 'nobody';

/**
 * The Redis side of the lock as redis-queue.md tells it, in plain TypeScript and without a thought for speed. It covers
 * queues in which no limit of the scripts is reached: fewer than 128 places and 32 instances.
 */
export class LockModel {
  /** Microseconds of the server's clock. */
  micros = 1_700_000_000_000_000;
  state: LockState | undefined;
  queue: Place[] = [];
  /** Instances whose inbox somebody reads. */
  readonly living = new Set<string>();
  /** What was sent to inboxes by the command that was run last: `instance message`. */
  sent: string[] = [];

  constructor(private readonly key: string) {}

  get now(): number {
    return Math.floor(this.micros / 1_000);
  }

  acquire(caller: string, waits: boolean, asked: readonly Place[], startedAt: number | undefined): string {
    const [first] = asked;
    const isFree = this.state === undefined || isBare(this.state);
    if (startedAt === undefined && isFree && asked.length === 1 && first?.ticket === 0) {
      return this.take(first);
    }
    const lock = this.read();
    const known = lock.counter;
    acquit(lock, caller);
    const covered = asked.some(({ seq }) => this.covers(lock, caller, seq));
    const places = asked.filter(({ seq }) => !this.covers(lock, caller, seq));
    const presented = Math.max(0, ...places.map(({ ticket }) => ticket));
    lock.counter = Math.max(lock.counter, presented);
    if (lock.ends <= this.now) this.quarantine(lock, places, { known, presented, startedAt });

    const tickets = waits ? this.enqueue(lock, places) : [];
    let outcome: Outcome = 'held';
    if (lock.ends <= this.now) {
      this.suspect(lock, caller);
      outcome = lock.queued ? this.promote(lock, caller) : forgetAll(lock);
      const [place] = places;
      if (outcome === 'nobody' && !waits && place !== undefined) {
        this.grant(lock, caller, [place]);
        outcome = 'own';
      }
    }
    if (covered) lock.ends = Math.max(lock.ends, this.now + Number(lock.terms.split(':')[0]));
    this.save(lock);
    if (covered || outcome === 'own') return `G-${this.granted(lock)};${tickets.join(',')}`;
    const length = this.queue.length;
    return waits
      ? `Q-${this.now}${milliseconds(lock.ends)}${length};${tickets.join(',')}`
      : `B-${this.now}${milliseconds(lock.ends)}${length};${lock.holder}`;
  }

  release(token: number, instance: string, hold: number | undefined): string {
    const { state } = this;
    if (state === undefined || isBare(state) || state.token !== token || state.holder !== instance)
      return 'N-';
    const lock = this.read();
    acquit(lock, instance);
    let outcome: Outcome = 'nobody';
    if (hold !== undefined) {
      vacate(lock);
      lock.ends = this.now + hold;
    } else if (lock.queued) {
      outcome = this.promote(lock, instance);
    } else {
      vacate(lock);
    }
    this.save(lock);
    return outcome === 'own' ? `G-${this.granted(lock)};` : 'R-';
  }

  extend(
    grant: {
      readonly token: number;
      readonly instance: string;
      readonly terms: string;
      readonly seqs: readonly number[];
    },
    lease: number,
  ): string {
    const { token, instance, terms, seqs } = grant;
    const lock = this.read();
    const last = token + seqs.length * Number(terms.split(':')[1]) - 1;
    const isOurs = lock.token === token && lock.holder === instance;
    const isInForce = lock.ends > this.now;
    const isHeld = isInForce && lock.holder !== QUARANTINE && lock.holder !== instance;
    const isForgotten = !isHeld && !isOurs && (lock.counter < last || lock.holder === QUARANTINE);
    if (!isForgotten && !(isOurs && isInForce)) return `X-${this.now}`;
    acquit(lock, instance);
    if (isForgotten) {
      lock.counter = Math.max(lock.counter, last);
      Object.assign(lock, { ends: 0, token, holder: instance, terms, seqs, queued: true });
    }
    lock.ends = Math.max(lock.ends, this.now + lease);
    this.save(lock);
    return `E${isForgotten ? '+' : '-'}${this.now}${milliseconds(lock.ends)}`;
  }

  cancel(instance: string, places: readonly Place[]): string {
    const missed = places.filter((place) => !this.remove(instance, place));
    const lock = this.read();
    const overtaken = missed.some(({ seq }) => this.covers(lock, instance, seq));
    return overtaken ? `G-${this.granted(lock)};` : 'C-';
  }

  sweep(caller: string, first: Place | undefined): string {
    const lock = this.read();
    let changed = acquit(lock, caller);
    let outcome: Outcome = 'held';
    if (lock.ends <= this.now && lock.queued) {
      this.suspect(lock, caller);
      outcome = this.promote(lock, caller);
      changed = true;
    }
    if (changed) this.save(lock);
    if (outcome === 'own') return `G-${this.granted(lock)};`;
    const queued = first !== undefined && this.find(caller, first) !== undefined;
    const flags = `${Number(queued)}${Number(this.living.has(caller))}`;
    return `W-${this.now}${milliseconds(lock.ends)}${flags}`;
  }

  forceRelease(caller: string): string {
    const lock = this.read();
    if (lock.ends <= this.now) return 'N-';
    if (lock.seqs.length > 0) this.publish(lock.holder, `L${microseconds(lock.token)} ${this.key}`);
    let outcome: Outcome = 'nobody';
    if (lock.queued) outcome = this.promote(lock, caller);
    else vacate(lock);
    this.save(lock);
    return outcome === 'own' ? `G-${this.granted(lock)};` : 'R-';
  }

  /** The server loses its data. */
  forget(): void {
    this.state = undefined;
    this.queue = [];
  }

  /** The short way to a lock that nobody holds and nobody waits for. */
  private take(place: Place): string {
    const lock = this.read();
    this.grant(lock, place.instance, [place]);
    this.save(lock);
    return `G-${this.granted(lock)};`;
  }

  /** Nobody gets the lock for a lease: the server may have forgotten who has it. */
  private quarantine(
    lock: LockState,
    places: readonly Place[],
    { known, presented, startedAt }: { known: number; presented: number; startedAt: number | undefined },
  ): void {
    let origin: number | undefined;
    if (presented > known) origin = this.micros;
    else if (startedAt !== undefined && known < startedAt) origin = startedAt;
    if (origin === undefined) return;
    const ends = Math.floor(origin / 1_000) + Math.max(0, ...places.map(({ lease }) => lease));
    if (ends <= this.now) return;
    vacate(lock);
    lock.holder = QUARANTINE;
    lock.ends = ends;
  }

  private enqueue(lock: LockState, places: readonly Place[]): string[] {
    return places.map((place) => {
      lock.queued = true;
      const known = this.find(place.instance, place);
      if (known !== undefined) return `${place.seq}:${microseconds(known.ticket)}`;
      const ticket = place.ticket === 0 ? this.following(lock.counter) : place.ticket;
      lock.counter = Math.max(lock.counter, ticket);
      this.queue.push({ ...place, ticket });
      this.queue.sort(compareMembers);
      return `${place.seq}:${microseconds(ticket)}`;
    });
  }

  /** To the first in the queue who is neither dead nor a suspect, with all who follow of the same instance. */
  private promote(lock: LockState, caller: string): Outcome {
    const gone = new Set(lock.suspects);
    vacate(lock);
    while (this.queue.length > 0) {
      const [head] = this.queue;
      if (head === undefined) break;
      if (gone.has(head.instance)) {
        this.queue.shift();
        continue;
      }
      const end = this.queue.findIndex(
        ({ instance, lease, block }) =>
          instance !== head.instance || lease !== head.lease || block !== head.block,
      );
      const run = this.queue.splice(0, end < 0 ? this.queue.length : end);
      const counter = lock.counter;
      this.grant(lock, head.instance, run);
      if (head.instance === caller || this.publish(head.instance, `G${this.granted(lock)} ${this.key}`)) {
        lock.queued = this.queue.length > 0;
        return head.instance === caller ? 'own' : 'other';
      }
      lock.counter = counter;
      vacate(lock);
      gone.add(head.instance);
    }
    return forgetAll(lock);
  }

  private grant(lock: LockState, holder: string, places: readonly Place[]): void {
    const [{ lease, block } = { lease: 0, block: 1 }] = places;
    lock.holder = holder;
    lock.terms = `${lease}:${block}`;
    lock.seqs = places.map(({ seq }) => seq);
    lock.token = this.following(lock.counter);
    lock.counter = lock.token + places.length * block - 1;
    lock.ends = this.now + lease;
  }

  private following(counter: number): number {
    return Math.max(this.micros, counter + 1);
  }

  private covers({ holder, ends, seqs }: LockState, instance: string, seq: number): boolean {
    return holder === instance && ends > this.now && seqs.includes(seq);
  }

  private suspect(lock: LockState, caller: string): void {
    const { holder, suspects } = lock;
    if (holder === NOBODY || holder === QUARANTINE || holder === caller || suspects.includes(holder)) return;
    lock.suspects = [holder, ...suspects].slice(0, 16);
  }

  /** Whether somebody received it. */
  private publish(instance: string, message: string): boolean {
    if (!this.living.has(instance)) return false;
    this.sent.push(`${instance} ${message}`);
    return true;
  }

  private find(instance: string, { seq, lease, block }: Place): Place | undefined {
    return this.queue.find(
      (place) =>
        place.instance === instance && place.seq === seq && place.lease === lease && place.block === block,
    );
  }

  private remove(instance: string, place: Place): boolean {
    const known = this.find(instance, place);
    if (known !== undefined) this.queue.splice(this.queue.indexOf(known), 1);
    return known !== undefined;
  }

  private granted({ ends, token, terms, seqs }: LockState): string {
    return `${this.now}${milliseconds(ends)}${microseconds(token)}${terms};${seqs.join(',')}`;
  }

  private read(): LockState {
    return { ...(this.state ?? EMPTY) };
  }

  /** A lock that nobody holds, keeps closed or waits for is its counter alone. */
  private save(lock: LockState): void {
    const isIdle = lock.holder === NOBODY && !lock.queued && lock.ends <= this.now;
    this.state = isIdle ? { ...EMPTY, counter: lock.counter } : lock;
  }
}

const EMPTY: LockState = {
  counter: 0,
  queued: false,
  ends: 0,
  token: 0,
  holder: NOBODY,
  terms: '',
  seqs: [],
  suspects: [],
};

/** What Redis has, in the model's terms. */
export function stateOf(text: string | null): LockState | undefined {
  if (text === null) return undefined;
  const counter = Number(text.slice(0, 16));
  if (text.length === 16) return { ...EMPTY, counter };
  const [terms = '', seqs = '', suspects = ''] = text.slice(78).split(';');
  return {
    counter,
    queued: text[16] === 'Q',
    ends: Number(text.slice(17, 30)),
    token: Number(text.slice(30, 46)),
    holder: text.slice(46, 78),
    terms,
    seqs: seqs === '' ? [] : seqs.split(',').map(Number),
    suspects: suspects.match(/.{32}/g) ?? [],
  };
}

export function queueOf(withScores: readonly string[]): Place[] {
  const places: Place[] = [];
  for (let at = 0; at < withScores.length; at += 2) {
    places.push(placeOf(withScores[at] ?? '', Number(withScores[at + 1])));
  }
  return places;
}

function isBare({ holder, queued, ends }: LockState): boolean {
  return holder === NOBODY && !queued && ends === 0;
}

function vacate(lock: LockState): void {
  Object.assign(lock, { ends: 0, token: 0, holder: NOBODY, terms: '', seqs: [] });
}

function forgetAll(lock: LockState): 'nobody' {
  vacate(lock);
  lock.queued = false;
  lock.suspects = [];
  return 'nobody';
}

function acquit(lock: LockState, instance: string): boolean {
  if (!lock.suspects.includes(instance)) return false;
  lock.suspects = lock.suspects.filter((suspect) => suspect !== instance);
  return true;
}

export function microseconds(value: number): string {
  return String(value).padStart(16, '0');
}

function milliseconds(value: number): string {
  return String(value).padStart(13, '0');
}
