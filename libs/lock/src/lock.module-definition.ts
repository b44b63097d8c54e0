import { ConfigurableModuleBuilder, type Provider } from '@nestjs/common';
import type { LockModuleOptions } from './lock-module-options.js';

/** What `forRoot` and `forRootAsync` take beside the options. */
export interface LockModuleExtras {
  /**
   * Whether every module of the application can use locks without importing `LockModule`.
   *
   * @defaultValue true
   */
  isGlobal?: boolean;
  /** Providers that become part of `LockModule`: for its async options, or in place of `LockStrategyProvider`. */
  extraProviders?: Provider[];
}

const EXTRAS: Required<LockModuleExtras> = { isGlobal: true, extraProviders: [] };

export const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN, OPTIONS_TYPE, ASYNC_OPTIONS_TYPE } =
  new ConfigurableModuleBuilder<LockModuleOptions>({
    // A string, for Nest prints it when somebody imports the bare module.
    optionsInjectionToken: 'the options of LockModule (import LockModule.forRoot() instead of LockModule)',
  })
    .setClassMethodName('forRoot')
    .setFactoryMethodName('createLockOptions')
    .setExtras<LockModuleExtras>(EXTRAS, (definition, { isGlobal, extraProviders = [] }) => ({
      ...definition,
      global: isGlobal,
      providers: [...(definition.providers ?? []), ...extraProviders],
    }))
    .build();
