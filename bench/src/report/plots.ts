/** One bar. */
export interface BarRow {
  readonly name: string;
  /** The picture that the bar stands in. */
  readonly panel: string;
  readonly value: number;
  readonly ours: boolean;
}

export interface BarChart {
  readonly title: string;
  readonly value: string;
  readonly rows: readonly BarRow[];
  readonly scale?: 'linear' | 'log';
}

const OURS = '#d9480f';
const OTHERS = '#8795a1';
const CONFIG = {
  font: 'Helvetica, Arial, sans-serif',
  background: 'white',
  view: { stroke: null },
  axis: { labelFontSize: 12, labelLimit: 320, titleFontSize: 12, gridColor: '#e6e6e6' },
  title: { fontSize: 15, anchor: 'start', offset: 14 },
  header: { labelFontSize: 13, labelFontWeight: 'bold' },
} as const;

/** Bars, ours in colour, one panel beside the other. */
export function bars({ title, value, rows, scale = 'linear' }: BarChart): object {
  const panels = [...new Set(rows.map(({ panel }) => panel))];
  const x = { field: 'value', type: 'quantitative', title: value, scale: { type: scale } };
  const y = { field: 'name', type: 'nominal', title: null, sort: null };
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    title,
    config: CONFIG,
    hconcat: panels.map((panel) => ({
      title: { text: panel, fontSize: 13 },
      width: 300,
      height: { step: 22 },
      data: {
        values: rows.filter((row) => row.panel === panel).map((row) => ({ ...row, label: short(row.value) })),
      },
      layer: [
        {
          mark: { type: 'bar' },
          encoding: {
            x: scale === 'log' ? { ...x, scale: { type: 'log', domainMin: lowest(rows) } } : x,
            ...(scale === 'log' ? { x2: { datum: lowest(rows) } } : {}),
            y,
            color: { condition: { test: 'datum.ours', value: OURS }, value: OTHERS },
          },
        },
        {
          mark: { type: 'text', align: 'left', dx: 4, fontSize: 11 },
          encoding: { x, y, text: { field: 'label', type: 'nominal' } },
        },
      ],
    })),
  };
}

export interface LineRow {
  readonly name: string;
  readonly x: number;
  readonly value: number;
}

export interface LineChart {
  readonly title: string;
  readonly x: string;
  readonly value: string;
  readonly rows: readonly LineRow[];
}

/** Lines over a logarithmic axis. */
export function lines({ title, x, value, rows }: LineChart): object {
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    title,
    config: CONFIG,
    width: 520,
    height: 280,
    data: { values: rows },
    mark: { type: 'line', point: true },
    encoding: {
      x: { field: 'x', type: 'quantitative', title: x, scale: { type: 'log' }, axis: { format: ',' } },
      y: { field: 'value', type: 'quantitative', title: value, scale: { type: 'log' } },
      color: { field: 'name', type: 'nominal', title: null },
    },
  };
}

/** A power of ten below all values: where bars of a logarithmic axis begin. */
function lowest(rows: readonly BarRow[]): number {
  const least = Math.min(...rows.map(({ value }) => value).filter((value) => value > 0));
  return 10 ** (Math.ceil(Math.log10(least)) - 1);
}

function short(value: number): string {
  if (value >= 100) return Math.round(value).toLocaleString('en-US');
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}
