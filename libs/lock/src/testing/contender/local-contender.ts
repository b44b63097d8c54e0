import type { StrategyRecipe } from '../strategy-under-test.js';
import { Contender, ContenderError, type ContenderLine } from './contender.js';
import { ContenderHost, failureOf } from './contender-host.js';

/** A contender in this process. */
export class LocalContender extends Contender {
  static async open(recipe: StrategyRecipe): Promise<LocalContender> {
    return new LocalContender(await ContenderHost.open(recipe));
  }

  private constructor(private readonly host: ContenderHost) {
    super(lineTo(host));
  }

  /** One more with the same strategy: closing either closes it for both. */
  twin(): LocalContender {
    return new LocalContender(this.host.twin());
  }
}

function lineTo(host: ContenderHost): ContenderLine {
  return {
    ask: async (command) => {
      try {
        return (await host.answer(command)) as never;
      } catch (error) {
        throw new ContenderError(failureOf(error));
      }
    },
  };
}
