import { digits } from './format';
import type { Results } from './results';
import { forMarkdown, targetTable } from './tables';

/** Puts the figures of a run between the marks that the page has for them. */
export function writePage(page: string, results: Results): string {
  const { reports, machine, loads, date, errors } = results;
  const targets = Object.values(reports).flatMap((report) => report.targets);
  const sections: Record<string, string> = {
    machine: [
      `Measured on ${date.slice(0, 10)}: ${machine.cpu}, ${machine.cores} cores, ${machine.memory}, ${machine.system}, Node ${machine.node}, ` +
        `Redis ${machine.servers.redis}, MariaDB ${machine.servers.mariadb}. ` +
        `Load when it began: ${digits(machine.loadBefore)} (0 is a machine with nothing else to do); at the end of each part, ` +
        `its own processes included: ${Object.entries(loads)
          .map(([title, load]) => `${title} ${digits(load)}`)
          .join(', ')}.`,
      '',
      Object.entries(machine.packages)
        .map(([name, version]) => `\`${name}\` ${version}`)
        .join(', '),
    ].join('\n'),
    targets: forMarkdown(targetTable(targets)),
    ...Object.fromEntries(
      Object.entries(reports).map(([title, { tables }]) => [title, tables.map(forMarkdown).join('\n\n')]),
    ),
    ...Object.fromEntries(
      Object.entries(errors).map(([title, error]) => [title, `It did not run: ${error}`]),
    ),
  };
  return Object.entries(sections).reduce(replaceSection, page);
}

function replaceSection(page: string, [name, text]: [string, string]): string {
  const [begin, end] = [`<!-- figures: ${name} -->`, '<!-- end of figures -->'];
  const from = page.indexOf(begin);
  if (from < 0) throw new Error(`docs/benchmarks.md has no mark "${begin}".`);
  const to = page.indexOf(end, from);
  return `${page.slice(0, from + begin.length)}\n\n${text}\n\n${page.slice(to)}`;
}
