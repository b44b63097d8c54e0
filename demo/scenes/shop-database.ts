import { Client } from 'pg';

/** What the shop's tables say, for who stands outside. */
export class ShopDatabase {
  private constructor(private readonly client: Client) {}

  static async connect(url: string): Promise<ShopDatabase> {
    const client = new Client({ connectionString: url, application_name: 'demo' });
    await client.connect();
    return new ShopDatabase(client);
  }

  /** How many items buyers were promised. */
  async itemsSold(): Promise<number> {
    return this.number('SELECT coalesce(sum("quantity"), 0) FROM "stock_order"');
  }

  /** How many items the shop believes that it still has. */
  async itemsLeft(): Promise<number> {
    return this.number('SELECT sum("quantity") FROM "stock"');
  }

  /** How many of the shop's connections run a statement or hold a transaction open at this moment. */
  async connectionsInUse(): Promise<number> {
    return this.number(`
      SELECT count(*) FROM pg_stat_activity
      WHERE datname = current_database() AND application_name = 'shop' AND state <> 'idle'`);
  }

  /** When the job ran, in milliseconds since 1970 by the database's clock. */
  async settlements(): Promise<readonly number[]> {
    const { rows } = await this.client.query<{ readonly time: string }>(
      `SELECT extract(epoch FROM "startedAt") * 1000 AS "time" FROM "settlement" ORDER BY "id"`,
    );
    return rows.map(({ time }) => Number(time));
  }

  close(): Promise<void> {
    return this.client.end();
  }

  private async number(query: string): Promise<number> {
    const { rows } = await this.client.query<{ readonly [column: string]: string }>(query);
    return Number(Object.values(rows[0] ?? {})[0]);
  }
}
