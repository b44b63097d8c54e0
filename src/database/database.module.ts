import { Module } from '@nestjs/common';
import { TypeOrmModule, type TypeOrmModuleOptions } from '@nestjs/typeorm';
import { CreateDistributedLock1767225600000 } from 'nestjs-distributed-lock/typeorm';
import { Settlement } from '../settlement/settlement.entity.js';
import { StockOrder } from '../stock/stock-order.entity.js';
import { Stock } from '../stock/stock.entity.js';
import { CreateShop1700000000000 } from './create-shop.migration.js';
import { dataSourceWithMigrations } from './data-source-with-migrations.js';
import { Postgres, PostgresModule } from './postgres.module.js';

@Module({
  imports: [
    TypeOrmModule.forRootAsync({
      imports: [PostgresModule],
      inject: [Postgres],
      useFactory: ({ url }: Postgres): TypeOrmModuleOptions => ({
        type: 'postgres',
        url,
        applicationName: 'shop',
        entities: [Stock, StockOrder, Settlement],
        migrations: [CreateShop1700000000000, CreateDistributedLock1767225600000],
        retryAttempts: 5,
        retryDelay: 1_000,
      }),
      dataSourceFactory: dataSourceWithMigrations,
    }),
  ],
})
export class DatabaseModule {}
