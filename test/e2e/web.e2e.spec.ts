import { SceneStores } from '../../demo/scenes/scene-stores';
import { WEB_CASES, type WebCase } from '../../demo/scenes/strategies';
import { BUYERS, ITEMS, runWebScene, type WebSceneResult } from '../../demo/scenes/web-scene';

jest.setTimeout(120_000);

describe('web servers behind a load balancer sell 100 items to 300 buyers who come at once', () => {
  const stores = new SceneStores();

  beforeAll(async () => {
    await stores.startPostgres();
    await stores.startRedis(console.log);
  });

  afterAll(() => stores.stop());

  const exact = WEB_CASES.filter(({ expected }) => expected === 'exact');
  const oversold = WEB_CASES.filter(({ expected }) => expected === 'oversold');

  it.each(exact)('sells exactly what there is: $strategy on $servers', async (webCase) => {
    const result = await play(webCase);
    expect(result).toMatchObject({
      failures: [],
      sold: ITEMS,
      left: 0,
      refused: BUYERS - ITEMS,
    });
    if (webCase.inOrder) expect(result.outOfOrder).toBe(0);
  });

  it.each(oversold)('oversells, or the others prove nothing: $strategy on $servers', async (webCase) => {
    const result = await play(webCase);
    expect(result).toMatchObject({
      failures: [],
      oversold: result.sold - ITEMS,
      refused: BUYERS - result.sold,
    });
    expect(result.sold).toBeGreaterThan(ITEMS);
  });

  it('has a case for every way to oversell, and for every strategy that several servers can share', () => {
    expect(oversold.map(({ strategy, servers }) => `${strategy} ${servers}`)).toEqual(['none 2', 'memory 2']);
    expect(exact.map(({ strategy, servers }) => `${strategy} ${servers}`)).toEqual([
      'memory 1',
      'redis 2',
      'quorum 2',
      'typeorm 2',
    ]);
  });

  async function play({ strategy, servers }: WebCase): Promise<WebSceneResult> {
    const missing = stores.missingFor(strategy);
    if (missing !== undefined) throw new Error(missing);
    return runWebScene({ servers, environment: await stores.environmentFor(strategy) });
  }
});
