import { Logger, Module, type OnApplicationShutdown } from '@nestjs/common';
import { ConfigService } from '@nestjs/config';
import type { Environment } from '../config/environment.js';
import { startThrowawayPostgres, type ThrowawayPostgres } from './throwaway-postgres.js';

/** Where the database is: the one that the environment names, else one that lives as long as this process. */
export class Postgres implements OnApplicationShutdown {
  static async find(config: ConfigService<Environment, true>): Promise<Postgres> {
    const url = config.get('POSTGRES_URL', { infer: true });
    if (url !== undefined) return new Postgres(url);
    const server = await startThrowawayPostgres();
    new Logger(Postgres.name).log(
      `POSTGRES_URL is not set: started ${server.url}, whose data is gone at the end`,
    );
    return new Postgres(server.url, server);
  }

  private constructor(
    readonly url: string,
    private readonly server?: ThrowawayPostgres,
  ) {}

  async onApplicationShutdown(): Promise<void> {
    await this.server?.stop();
  }
}

@Module({
  providers: [
    {
      provide: Postgres,
      inject: [ConfigService],
      useFactory: (config: ConfigService<Environment, true>) => Postgres.find(config),
    },
  ],
  exports: [Postgres],
})
export class PostgresModule {}
