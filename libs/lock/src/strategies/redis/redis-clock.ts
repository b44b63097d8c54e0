/** Clocks drift apart by at most this share of the time that passes: ten times what a quartz does. */
const DRIFT = 0.001;

/**
 * What one instance knows about the difference between Redis' clock and its own: an upper bound. A reply that carries
 * Redis' time was written after its command was sent, so Redis' clock is ahead by at most `redisNow - sentAt`.
 */
export class RedisClock {
  private ahead: number | undefined;
  private observedAt = 0;

  /** Takes in the time that a reply carries. */
  observe(redisNow: number, sentAt: number, receivedAt: number): void {
    const atMost = redisNow - sentAt;
    const atLeast = redisNow - receivedAt - 1;
    const known = this.bound(receivedAt);
    // Above the old bound even at the least: somebody set a clock, and the old bound is worth nothing.
    if (known !== undefined && known < atMost && known >= atLeast) return;
    this.ahead = atMost;
    this.observedAt = receivedAt;
  }

  /** The earliest moment, on the local clock, at which Redis' clock may show this. */
  earliest(redisTime: number, now: number): number | undefined {
    const bound = this.bound(now);
    return bound === undefined ? undefined : redisTime - bound;
  }

  /** Redis' time now, at the most. */
  latest(now: number): number | undefined {
    const bound = this.bound(now);
    return bound === undefined ? undefined : now + bound;
  }

  private bound(now: number): number | undefined {
    return this.ahead === undefined ? undefined : this.ahead + (now - this.observedAt) * DRIFT;
  }
}
