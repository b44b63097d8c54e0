import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Plot } from '../benchmark';

/** Draws the pictures as SVG, without a browser and without a canvas. */
export async function draw(plots: readonly Plot[], folder: string): Promise<void> {
  const [{ parse, View }, { compile }] = await Promise.all([import('vega'), import('vega-lite')]);
  await mkdir(folder, { recursive: true });
  for (const { file, specification } of plots) {
    const { spec } = compile(specification as never);
    const view = new View(parse(spec), { renderer: 'none' });
    await writeFile(join(folder, file), `${await view.toSVG()}\n`);
    view.finalize();
  }
}
