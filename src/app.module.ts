import { Module } from '@nestjs/common';
import { ConditionalModule, ConfigModule, ConfigService } from '@nestjs/config';
import { LockModule } from 'nestjs-distributed-lock';
import { validateEnvironment } from './config/environment.js';
import { DatabaseModule } from './database/database.module.js';
import { lockOptions } from './locking/lock-options.js';
import { SettlementModule } from './settlement/settlement.module.js';
import { StockModule } from './stock/stock.module.js';

@Module({
  imports: [
    ConfigModule.forRoot({ isGlobal: true, cache: true, validate: validateEnvironment }),
    DatabaseModule,
    LockModule.forRootAsync({ inject: [ConfigService], useFactory: lockOptions }),
    ConditionalModule.registerWhen(StockModule, ({ ROLE }) => ROLE === 'web', { debug: false }),
    ConditionalModule.registerWhen(SettlementModule, ({ ROLE }) => ROLE === 'batch', { debug: false }),
  ],
})
export class AppModule {}
