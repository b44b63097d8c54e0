import Table from 'cli-table3';
import type { ListrTask } from 'listr2';
import type { LockStrategyName } from '../src/config/environment.js';
import type { SceneEnvironment, SceneStores } from './scenes/scene-stores.js';

/** One case of a play: a lock strategy, and whatever else makes it up. */
interface PlayCase {
  readonly strategy: LockStrategyName;
}

/** What the demo says about one case, and whether it came out as it must. */
export interface Verdict {
  readonly right: boolean;
  readonly text: string;
}

type Cell = string | number;

export interface PlayOptions<Case extends PlayCase, Result> {
  readonly title: string;
  readonly cases: readonly Case[];
  /** Whether the cases may be played at the same time. */
  readonly concurrent: boolean;
  readonly nameOf: (one: Case) => string;
  readonly run: (
    one: Case,
    environment: SceneEnvironment,
    progress: (text: string) => void,
  ) => Promise<Result>;
  readonly judge: (one: Case, result: Result) => Verdict;
  /** The table's columns between the case's name and the verdict. */
  readonly columns: readonly string[];
  readonly cells: (result: Result) => readonly Cell[];
}

type Outcome<Result> = { readonly result: Result } | { readonly notRun: string };

/** A scene as the demo plays it: once a case, and at the end a table of what came of them. */
export class Play<Case extends PlayCase = PlayCase, Result = unknown> {
  private readonly outcomes = new Map<Case, Outcome<Result>>();

  constructor(private readonly options: PlayOptions<Case, Result>) {}

  get title(): string {
    return this.options.title;
  }

  /** How many cases did not come out as they must. One that could not be played has shown nothing wrong. */
  get wrong(): number {
    return this.options.cases.filter((one) => {
      const outcome = this.outcomes.get(one);
      return outcome !== undefined && 'result' in outcome && !this.options.judge(one, outcome.result).right;
    }).length;
  }

  task(stores: SceneStores): ListrTask {
    const { title, cases, concurrent } = this.options;
    return {
      title,
      task: (_, task) =>
        task.newListr(
          cases.map((one) => this.caseTask(one, stores)),
          { concurrent, rendererOptions: { collapseSubtasks: false } },
        ),
    };
  }

  table(): string {
    const { cases, columns, nameOf } = this.options;
    const head = ['lock', ...columns, ''];
    const colAligns = head.map((_, column) => (column === 0 || column > columns.length ? 'left' : 'right'));
    const table = new Table({ head, colAligns, style: { head: [], border: [], compact: true } });
    for (const one of cases) table.push([nameOf(one), ...this.outcomeCells(one)]);
    return table.toString();
  }

  private caseTask(one: Case, stores: SceneStores): ListrTask {
    const { nameOf, run, judge } = this.options;
    return {
      title: nameOf(one),
      task: async (_, task) => {
        const missing = stores.missingFor(one.strategy);
        if (missing !== undefined) {
          this.outcomes.set(one, { notRun: missing });
          return task.skip(`${nameOf(one)}: not run`);
        }
        const environment = await stores.environmentFor(one.strategy);
        const result = await run(one, environment, (text) => (task.output = text));
        this.outcomes.set(one, { result });
        task.title = `${nameOf(one)}: ${judge(one, result).text}`;
      },
    };
  }

  private outcomeCells(one: Case): Table.HorizontalTableRow {
    const { columns, cells, judge } = this.options;
    const outcome = this.outcomes.get(one) ?? { notRun: 'not run' };
    if ('notRun' in outcome)
      return [{ content: folded(outcome.notRun), colSpan: columns.length + 1, hAlign: 'left' }];
    return [...cells(outcome.result), judge(one, outcome.result).text];
  }
}

/** Breaks a sentence into lines of a table's width. */
function folded(sentence: string): string {
  return sentence.replace(/(.{1,70})(?:\s+|$)/g, '$1\n').trimEnd();
}
