import { Inject, Injectable, Module, Scope, type INestApplicationContext } from '@nestjs/common';
import { ContextIdFactory, ModuleRef, NestFactory, REQUEST } from '@nestjs/core';
import { DistributedLock, LockModule } from 'nestjs-distributed-lock';
import { expectTurns, Turnstile } from './turnstile';

const turnstile = new Turnstile();

@Injectable()
class Singleton {
  @DistributedLock('stock:<0>')
  async decrease(_id: number): Promise<string> {
    return turnstile.pass();
  }

  @DistributedLock('hidden')
  private async hidden(): Promise<string> {
    return turnstile.pass();
  }

  callHidden(): Promise<string> {
    return this.hidden();
  }

  callOther(): Promise<string> {
    return this.decrease(7);
  }
}

@Injectable({ scope: Scope.REQUEST })
class RequestScoped {
  @DistributedLock('scoped')
  async work(): Promise<string> {
    return turnstile.pass();
  }
}

@Injectable({ scope: Scope.TRANSIENT })
class Transient {
  @DistributedLock('transient')
  async work(): Promise<string> {
    return turnstile.pass();
  }
}

/** Nest sees neither the class nor its decorators in what a factory makes. */
class Made {
  @DistributedLock('made')
  async work(): Promise<string> {
    return turnstile.pass();
  }
}

@Injectable()
class Injecting {
  constructor(
    @Inject('transient factory') readonly own: Made,
    @Inject(Transient) readonly transient: Transient,
  ) {}
}

abstract class AbstractParent {
  protected abstract readonly warehouse: string;

  @DistributedLock('warehouse:<this.warehouse>')
  async count(): Promise<string> {
    return this.work();
  }

  @DistributedLock('parent')
  async overridden(): Promise<string> {
    return turnstile.pass();
  }

  protected abstract work(): Promise<string>;
}

@Injectable()
class Child extends AbstractParent {
  protected readonly warehouse = 'north';

  override async overridden(): Promise<string> {
    return super.overridden();
  }

  protected async work(): Promise<string> {
    return turnstile.pass();
  }
}

@Module({
  imports: [LockModule.forRoot()],
  providers: [
    ...[Singleton, RequestScoped, Transient, Injecting, Child],
    { provide: 'factory', useFactory: () => new Made() },
    { provide: 'later', useFactory: async () => new Made() },
    { provide: 'value', useValue: new Made() },
    { provide: 'transient factory', useFactory: () => new Made(), scope: Scope.TRANSIENT },
    { provide: 'request factory', useFactory: () => new Made(), scope: Scope.REQUEST },
    { provide: 'of the request', useFactory: (_request: object) => new Made(), inject: [REQUEST] },
  ],
})
class App {}

describe('a locked method lets one caller in at a time', () => {
  let app: INestApplicationContext;
  /** Instances of another request each time. */
  const ofRequest = <T>(token: string | (new () => T)): Promise<T> => {
    const contextId = ContextIdFactory.create();
    app.get(ModuleRef).registerRequestByContextId({}, contextId);
    return app.resolve<T>(token, contextId);
  };

  beforeAll(async () => {
    app = await NestFactory.createApplicationContext(App, { logger: false, abortOnError: false });
  });
  afterAll(() => app.close());

  it('in a singleton', async () => {
    const stock = app.get(Singleton);
    const keys = await expectTurns(app, { key: 'stock:7', turnstile }, () => stock.decrease(7));
    expect(keys).toEqual(['stock:7', 'stock:7', 'stock:7']);
  });

  it('in request-scoped instances, each of another request', async () => {
    const instances = await Promise.all([1, 2, 3].map(() => ofRequest(RequestScoped)));
    expect(new Set(instances).size).toBe(3);
    await expectTurns(app, { key: 'scoped', turnstile }, (number) => working(instances[number]));
  });

  it('in transient instances, those that others inject and those that are asked for', async () => {
    const instances = [
      app.get(Injecting).transient,
      await app.resolve(Transient),
      await app.resolve(Transient),
    ];
    expect(new Set(instances).size).toBe(3);
    await expectTurns(app, { key: 'transient', turnstile }, (number) => working(instances[number]));
  });

  it('in what factories and values provide', async () => {
    const instances = ['factory', 'later', 'value'].map((token) => app.get<Made>(token));
    await expectTurns(app, { key: 'made', turnstile }, (number) => working(instances[number]));
  });

  it('in what factories make for each request, or for each who injects it', async () => {
    const instances = [
      app.get(Injecting).own,
      await app.resolve<Made>('transient factory'),
      await ofRequest<Made>('request factory'),
      await ofRequest<Made>('request factory'),
      await ofRequest<Made>('of the request'),
    ];
    expect(new Set(instances).size).toBe(5);
    await expectTurns(app, { key: 'made', turnstile, calls: 5 }, (number) => working(instances[number]));
  });

  it('in a method that an abstract parent declares', async () => {
    const child = app.get(Child);
    await expectTurns(app, { key: 'warehouse:north', turnstile }, () => child.count());
  });

  it('in a method that is overridden and calls its parent', async () => {
    const child = app.get(Child);
    await expectTurns(app, { key: 'parent', turnstile }, () => child.overridden());
  });

  it('in a method that is private to TypeScript', async () => {
    const stock = app.get(Singleton);
    await expectTurns(app, { key: 'hidden', turnstile }, () => stock.callHidden());
  });

  it('in a method that is called as this.other()', async () => {
    const stock = app.get(Singleton);
    await expectTurns(app, { key: 'stock:7', turnstile }, () => stock.callOther());
  });
});

function working(instance: { work(): Promise<string> } | undefined): Promise<string> {
  if (instance === undefined) throw new Error('There are fewer instances than calls.');
  return instance.work();
}
