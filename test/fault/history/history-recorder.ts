import { closeSync, openSync, writeSync } from 'node:fs';
import type { CallStep, LifeEvent, LockEvent } from './lock-event';
import { moment, type Moment } from './moment';

/** Writes down what one life of a process does: each event at once and in one piece, so that SIGKILL loses nothing. */
export class HistoryRecorder {
  private readonly file: number;

  constructor(
    path: string,
    private readonly process: string,
    private readonly life: number,
  ) {
    this.file = openSync(path, 'a');
  }

  /** @param at - when it was so, where that is earlier than now */
  call(call: number, step: CallStep, at: Moment = moment()): void {
    this.write({ at, process: this.process, life: this.life, call, ...step });
  }

  started(): void {
    this.write({ at: moment(), process: this.process, life: this.life, is: 'start' });
  }

  stalled(since: Moment): void {
    const event: LifeEvent = { at: moment(), process: this.process, life: this.life, is: 'stall', since };
    this.write(event);
  }

  /** The process has nothing left to say. */
  ended(): void {
    this.write({ at: moment(), process: this.process, life: this.life, is: 'end' });
    closeSync(this.file);
  }

  private write(event: LockEvent): void {
    // A line that a SIGKILL cuts off is not the beginning of somebody else's.
    writeSync(this.file, `\n${JSON.stringify(event)}`);
  }
}
