import type { ContenderCommand, Failure } from './contender-command.js';

/** To the worker. */
export interface ContenderQuestion {
  readonly id: number;
  readonly command: ContenderCommand;
}

/** From the worker. */
export type ContenderMessage =
  | { readonly kind: 'ready' }
  | { readonly kind: 'failed'; readonly failure: Failure }
  | { readonly kind: 'answer'; readonly id: number; readonly answer: unknown }
  | { readonly kind: 'failure'; readonly id: number; readonly failure: Failure };
