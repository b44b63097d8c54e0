import CliTable from 'cli-table3';
import type { Table, Target } from '../benchmark';

/** A table for the terminal. */
export function forTerminal({ title, columns, rows, note }: Table): string {
  const table = new CliTable({ head: [...columns], style: { head: [], border: [] } });
  for (const row of rows) table.push(spanning(row, columns.length));
  return [`\n${title}`, table.toString(), ...(note === undefined ? [] : [note])].join('\n');
}

/** A table for a Markdown page. */
export function forMarkdown({ title, columns, rows, note }: Table): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  const padded = (row: readonly string[]): string[] => columns.map((_, at) => row[at] ?? '');
  return [
    `**${title}**`,
    '',
    line(columns),
    line(columns.map((_, at) => (at === 0 ? '---' : '--:'))),
    ...rows.map((row) => line(padded(row))),
    ...(note === undefined ? [] : ['', note]),
  ].join('\n');
}

export function targetTable(targets: readonly Target[]): Table {
  const answer = ({ met }: Target): string => (met === undefined ? 'reported' : met ? 'met' : 'MISSED');
  return {
    title: 'Targets',
    columns: ['benchmark', 'what', 'target', 'measured', ''],
    rows: targets.map((target) => [
      target.benchmark,
      target.what,
      target.goal,
      target.measured,
      answer(target),
    ]),
  };
}

/** A row that is too short ends in a sentence: what went wrong. */
function spanning(
  row: readonly string[],
  width: number,
): (string | { readonly content: string; readonly colSpan: number })[] {
  const last = row.at(-1);
  if (row.length >= width || last === undefined) return [...row];
  return [...row.slice(0, -1), { content: last, colSpan: width - row.length + 1 }];
}
