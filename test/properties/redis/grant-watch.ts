/** A grant as clients hear of it. */
export interface Granted {
  readonly instance: string;
  readonly token: number;
  readonly ends: number;
  readonly terms: string;
  readonly seqs: readonly number[];
}

/**
 * What clients rely on, told without the model: no lock is given away while the grant before it is in force and was not
 * given back, and tokens rise.
 */
export class GrantWatch {
  readonly all: Granted[] = [];
  /** Those that an instance may still prolong. */
  known: readonly Granted[] = [];
  private current: Granted | undefined;
  highest = 0;

  /** A reply or a message that grants; also one that was sent again. */
  heard(instance: string, text: string, now: number): void {
    const [terms = '', seqs = ''] = text.slice(42).split(';');
    const grant: Granted = {
      instance,
      ends: Number(text.slice(13, 26)),
      token: Number(text.slice(26, 42)),
      terms,
      seqs: seqs.split(',').map(Number),
    };
    // A clock that was set back brings a lease to life again that was over: it is the same grant, not a new one.
    const isKnown = this.all.some(({ token, instance: of }) => token === grant.token && of === instance);
    if (isKnown) return this.extended(grant, grant.ends, now);
    expect(grant.token).toBeGreaterThan(this.highest);
    if (this.current !== undefined) expect(now).toBeGreaterThanOrEqual(this.current.ends);
    this.highest = grant.token + grant.seqs.length * Number(terms.split(':')[1]) - 1;
    this.current = grant;
    this.all.push(grant);
    this.known = [...this.known, grant];
  }

  /**
   * A grant was prolonged, or written again after the server had forgotten it; over an older one of the same instance
   * also while that is in force, for an instance knows which of its grants is the newest.
   */
  extended(grant: Granted, ends: number, now: number): void {
    const { current } = this;
    const isNewer = current?.instance === grant.instance && current.token <= grant.token;
    if (current !== undefined && !isNewer) expect(now).toBeGreaterThanOrEqual(current.ends);
    this.current = { ...grant, ends };
  }

  /** A lease that was over stays over, though the clock is set back afterwards. */
  passed(now: number): void {
    if (this.current !== undefined && now >= this.current.ends) this.current = undefined;
  }

  /**
   * The server came back without its data, and those who ask are told so: the grant in force stays so until its holder
   * can't believe in it any more, or for the time that they are kept waiting where that is shorter. Every other one was
   * given back or is over, which its instance knows.
   */
  restarted(quietUntil: number): void {
    const { current } = this;
    this.known = current === undefined ? [] : [current];
    if (current !== undefined) this.current = { ...current, ends: Math.min(current.ends, quietUntil) };
  }

  /** The grant was given back, or taken away, or the server forgot it and nobody is told: nothing is promised. */
  over(): void {
    this.current = undefined;
  }
}
