/**
 * What the promise settles with, if it does so in time. After a pause of this process (a long computation, a stop) the
 * timer is due before the answers are read that have long arrived; so they are read first.
 *
 * @param late - makes the error; only called when the limit passed
 */
export function withinLimit<T>(pending: Promise<T>, limit: number, late: () => Error): Promise<T> {
  return new Promise((resolve, reject) => {
    let afterReading: NodeJS.Immediate | undefined;
    const timer = setTimeout(() => {
      afterReading = setImmediate(() => reject(late()));
    }, limit);
    const stop = (): void => {
      clearTimeout(timer);
      clearImmediate(afterReading);
    };
    pending.then(
      (value) => {
        stop();
        resolve(value);
      },
      (error: Error) => {
        stop();
        reject(error);
      },
    );
  });
}
