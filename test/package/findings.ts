/** One thing that was looked at. */
export interface Finding {
  readonly subject: string;
  readonly aspect: string;
  /** What was seen, in a word or two. */
  readonly seen: string;
  /** Why it is wrong; undefined where it is right. */
  readonly problem: string | undefined;
}

/** Collects what was found, right and wrong; what is wrong does not keep the rest from being looked at. */
export class Findings {
  private readonly all: Finding[] = [];

  /**
   * Looks at one aspect of a subject.
   *
   * @param look - resolves to what it saw; what it throws is the problem
   * @returns whether it is right
   */
  async add(subject: string, aspect: string, look: () => Promise<string>): Promise<boolean> {
    try {
      this.all.push({ subject, aspect, seen: await look(), problem: undefined });
      return true;
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      this.all.push({ subject, aspect, seen: 'FAILED', problem });
      return false;
    }
  }

  get passed(): number {
    return this.all.length - this.failures.length;
  }

  get failures(): readonly Finding[] {
    return this.all.filter(({ problem }) => problem !== undefined);
  }

  get subjects(): readonly string[] {
    return [...new Set(this.all.map(({ subject }) => subject))];
  }

  of(subject: string): readonly Finding[] {
    return this.all.filter((finding) => finding.subject === subject);
  }
}
