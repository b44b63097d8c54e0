import { Logger, ValidationPipe } from '@nestjs/common';
import { ConfigService } from '@nestjs/config';
import { NestFactory } from '@nestjs/core';
import { AppModule } from './app.module.js';
import type { Environment } from './config/environment.js';

async function bootstrap(): Promise<void> {
  const app = await NestFactory.create(AppModule);
  app.enableShutdownHooks();
  app.useGlobalPipes(new ValidationPipe({ transform: true, whitelist: true, forbidNonWhitelisted: true }));

  const config = app.get<ConfigService<Environment, true>>(ConfigService);
  const logger = new Logger('Shop');
  if (config.get('ROLE') === 'batch') {
    await app.init();
    logger.log('ready: batch');
  } else {
    await app.listen(config.get('PORT'), config.get('HOST'));
    logger.log(`ready: web on ${await app.getUrl()}`);
  }
}

void bootstrap();
