/** What the process says to the shell that started it. docs/operations.md lists them for people. */
export const ExitCode = {
  /** `inspect`: somebody holds the lock. `release`: it was taken away. */
  DONE: 0,
  /** Nobody holds the lock. */
  NOT_HELD: 1,
  /** The command line can't be understood, or a package is missing: nothing was asked. */
  USAGE: 2,
  /** Redis can't be reached, does not answer, or can't keep locks. */
  UNREACHABLE: 3,
  /** `release` left the lock alone: the answer was no, nobody could be asked, or another holder has it by now. */
  LEFT_ALONE: 4,
} as const;

export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];
