import { Logger, ValidationPipe } from '@nestjs/common';
import { ConfigService } from '@nestjs/config';
import { NestFactory } from '@nestjs/core';
import { AppModule } from './app.module.js';
import { type Environment, EnvironmentError } from './config/environment.js';

const logger = new Logger('Shop');

async function bootstrap(): Promise<void> {
  const app = await NestFactory.create(AppModule);
  app.enableShutdownHooks();
  app.useGlobalPipes(
    new ValidationPipe({
      transform: true,
      whitelist: true,
      forbidNonWhitelisted: true,
      stopAtFirstError: true,
    }),
  );

  const config = app.get<ConfigService<Environment, true>>(ConfigService);
  if (config.get('ROLE') === 'batch') {
    await app.init();
    logger.log('ready: batch');
  } else {
    await app.listen(config.get('PORT'), config.get('HOST'));
    logger.log(`ready: web on ${await app.getUrl()}`);
  }
}

// The environment is read while the modules are imported, where nobody can catch what is wrong with it.
process.once('unhandledRejection', (error) => {
  logger.fatal(error instanceof EnvironmentError ? error.message : error);
  process.exit(1);
});

void bootstrap();
