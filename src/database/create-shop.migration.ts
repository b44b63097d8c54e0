import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The shop's tables, with 100 items of one article to sell. */
export class CreateShop1700000000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE "stock" (
        "id" serial PRIMARY KEY,
        "name" text NOT NULL,
        "quantity" integer NOT NULL
      )`);
    await runner.query(`
      CREATE TABLE "settlement" (
        "id" serial PRIMARY KEY,
        "startedAt" timestamptz NOT NULL DEFAULT clock_timestamp(),
        "pid" integer NOT NULL
      )`);
    await runner.query(`
      CREATE TABLE "stock_order" (
        "id" serial PRIMARY KEY,
        "stockId" integer NOT NULL REFERENCES "stock",
        "quantity" integer NOT NULL,
        "settlementId" integer REFERENCES "settlement"
      )`);
    await runner.query(`INSERT INTO "stock" ("name", "quantity") VALUES ('concert ticket', 100)`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE "stock_order", "settlement", "stock"');
  }
}
