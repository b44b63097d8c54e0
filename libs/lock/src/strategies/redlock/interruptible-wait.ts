/** The waiting of one call, which its signal or the shut-down ends at once, whatever it waits for. */
export class InterruptibleWait {
  private reason: Error | undefined;
  private reject: (reason: Error) => void = () => undefined;
  private readonly onAbort = (): void => this.interrupt(this.signal?.reason as Error);

  constructor(private readonly signal?: AbortSignal) {
    if (signal?.aborted) this.onAbort();
    signal?.addEventListener('abort', this.onAbort, { once: true });
  }

  /** @throws the reason, once it was interrupted. */
  check(): void {
    if (this.reason !== undefined) throw this.reason;
  }

  interrupt(reason: Error): void {
    this.reason ??= reason;
    this.reject(this.reason);
  }

  /**
   * What the promise resolves to. One at a time: there is no list of listeners that a long wait could fill.
   *
   * @throws the reason of an interruption that comes first.
   */
  until<T>(pending: Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.reject = reject;
      if (this.reason !== undefined) reject(this.reason);
      pending.then(resolve, reject);
    });
  }

  /** @throws the reason of an interruption. */
  async sleep(duration: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const passed = new Promise<void>((resolve) => (timer = setTimeout(resolve, duration)));
    await this.until(passed).finally(() => clearTimeout(timer));
  }

  end(): void {
    this.signal?.removeEventListener('abort', this.onAbort);
  }
}
