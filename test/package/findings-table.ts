import Table from 'cli-table3';
import type { Finding, Findings } from './findings.js';

/** What was found, a line for each subject; what was found of its types in one cell. */
export function tableOf(findings: Findings): string {
  const table = new Table({ head: ['', 'runs', 'types', 'further'], style: { head: [], border: [] } });
  for (const subject of findings.subjects) {
    const found = findings.of(subject);
    const isOf = (pattern: RegExp) => found.filter(({ aspect }) => pattern.test(aspect));
    const rest = found.filter(({ aspect }) => !RUNS.test(aspect) && !TYPES.test(aspect));
    table.push([
      subject,
      isOf(RUNS).map(cell).join('\n'),
      isOf(TYPES).map(cell).join('\n'),
      rest.map(cell).join('\n'),
    ]);
  }
  return table.toString();
}

const RUNS = /^(Node \d+|jest|esbuild|webpack)$/;
const TYPES = /^(types |attw$)/;

function cell({ aspect, seen }: Finding): string {
  return `${aspect.replace(TYPES, (kind) => (kind === 'attw' ? kind : ''))}: ${seen}`;
}
