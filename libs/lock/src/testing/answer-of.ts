/** How a call of the API ends: 'granted', or the code of its error. A form that answers null instead says that it is busy. */
export function answerOf(call: Promise<unknown>): Promise<string> {
  return call.then(
    (result) => (result === null ? 'LOCK_BUSY' : 'granted'),
    (error: { code?: string; message?: string }) => error.code ?? String(error.message),
  );
}
