import { Play, type Verdict } from './play.js';
import { WEB_CASES, type WebCase } from './scenes/strategies.js';
import { BUYERS, ITEMS, runWebScene, type WebSceneResult } from './scenes/web-scene.js';

export const webPlay = new Play<WebCase, WebSceneResult>({
  title: `Web servers behind a load balancer sell ${ITEMS} items to ${BUYERS} buyers who come at once`,
  cases: WEB_CASES,
  // One after another, for their times are compared.
  concurrent: false,
  nameOf: ({ strategy, servers }) => `${strategy}, ${servers === 1 ? '1 server' : `${servers} servers`}`,
  run: ({ servers }, environment, onProgress) => runWebScene({ servers, environment, onProgress }),
  judge: judgeSale,
  columns: ['sold', 'refused', 'oversold', 'time', 'p50', 'p99', 'out of\norder', 'database\nconnections'],
  cells: ({ sold, refused, oversold, time, p50, p99, outOfOrder, connections }) => [
    ...[sold, refused, oversold],
    ...[time, p50, p99].map((milliseconds) => `${Math.round(milliseconds)} ms`),
    ...[outOfOrder, connections],
  ],
});

function judgeSale({ expected, strategy }: WebCase, result: WebSceneResult): Verdict {
  const { failures, oversold, sold, left } = result;
  if (failures.length > 0)
    return { right: false, text: `WRONG: ${failures.length} failed, ${failures[0]?.slice(0, 40)}` };
  if (expected === 'oversold') {
    if (oversold === 0) return { right: false, text: 'WRONG: it must oversell' };
    return { right: true, text: strategy === 'none' ? 'oversold: no lock' : 'oversold: two locks' };
  }
  if (sold === ITEMS && left === 0) return { right: true, text: `exactly ${ITEMS}` };
  return { right: false, text: `WRONG: ${sold} sold, ${left} left of ${ITEMS}` };
}
