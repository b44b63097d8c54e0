/**
 * How many times as much as usual the cases that repeat themselves do: `LOCK_CONTRACT_SCALE=50` gives 10 000 tokens and
 * as many races. The patience for them grows with it.
 */
export const SCALE = Math.max(1, Number(process.env.LOCK_CONTRACT_SCALE ?? 1));
