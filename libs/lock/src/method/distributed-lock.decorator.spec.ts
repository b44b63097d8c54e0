import {
  Controller,
  Get,
  HttpCode,
  Inject,
  Injectable,
  Param,
  ParseIntPipe,
  Scope,
  SetMetadata,
  UseGuards,
  type CanActivate,
  type ExecutionContext,
  type INestApplication,
  type Provider,
} from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { Cron, Interval, ScheduleModule, SchedulerRegistry } from '@nestjs/schedule';
import { Test } from '@nestjs/testing';
import {
  DistributedLock,
  ExclusiveJob,
  LockBusyError,
  LockConfigurationError,
  LockKeyError,
  LockModule,
  LockService,
  currentLease,
} from 'nestjs-distributed-lock';
import { withoutLocks } from 'nestjs-distributed-lock/testing';
import { of } from 'rxjs';

const applications: INestApplication[] = [];

async function start(providers: Provider[], rest: { controllers?: [new (...args: never[]) => object] } = {}) {
  const testing = Test.createTestingModule({
    imports: [LockModule.forRoot(), ScheduleModule.forRoot()],
    providers,
    ...rest,
  });
  const app = (await testing.compile()).createNestApplication();
  app.useLogger(false);
  applications.push(app);
  return app.init();
}

afterEach(async () => {
  for (const app of applications.splice(0)) await app.close();
});

/** The key that the caller is inside of. */
function inside(): string | undefined {
  return currentLease()?.key;
}

@Injectable()
class Stock {
  private readonly tenant = 'acme';

  @DistributedLock('stock:<id>')
  async find(id: number, ..._rest: unknown[]): Promise<unknown> {
    return [inside(), id, this.tenant];
  }

  @DistributedLock(['stock:<to>', 'stock:<from>'])
  async move(from: number, to: number): Promise<unknown> {
    return [currentLease()?.keys, from, to];
  }

  @DistributedLock((id: number, more?: readonly number[]) =>
    [id, ...(more ?? [])].map((each) => `stock:${each}`),
  )
  async byFunction(_id: number, _more?: readonly number[]): Promise<unknown> {
    return currentLease()?.keys;
  }

  @DistributedLock('tenant:<this.tenant>')
  async ofTenant(): Promise<unknown> {
    return [inside(), await this.hidden(), await this.find(3)];
  }

  @DistributedLock('hidden')
  private async hidden(): Promise<unknown> {
    return inside();
  }

  @DistributedLock('stock:<id>', { waitTime: 0, whenBusy: (error, id: number) => [error.key, id] })
  async answered(id: number): Promise<unknown> {
    return id;
  }

  @ExclusiveJob('job')
  async job(): Promise<string | void> {
    return 'ran';
  }

  @DistributedLock('fails')
  async fails(): Promise<void> {
    throw new RangeError('as it is');
  }
}

describe('a locked method', () => {
  it('runs inside the lock that its key names, with its own this and arguments', async () => {
    const stock = (await start([Stock])).get(Stock);
    await expect(stock.find(1, 2, 3)).resolves.toEqual(['stock:1', 1, 'acme']);
    await expect(stock.move(2, 1)).resolves.toEqual([['stock:1', 'stock:2'], 2, 1]);
    await expect(stock.byFunction(1)).resolves.toEqual(['stock:1']);
    await expect(stock.byFunction(1, [2, 1])).resolves.toEqual(['stock:1', 'stock:2']);
    await expect(stock.ofTenant()).resolves.toEqual(['tenant:acme', 'hidden', ['stock:3', 3, 'acme']]);
  });

  it('rejects with the error of the method, and is free afterwards', async () => {
    const app = await start([Stock]);
    await expect(app.get(Stock).fails()).rejects.toThrow(RangeError);
    expect((await app.get(LockService).inspect('fails')).held).toBe(false);
  });

  it('answers a busy lock as whenBusy says, with the arguments of the call', async () => {
    const app = await start([Stock]);
    const lease = await app.get(LockService).acquire(['stock:1', 'job']);
    await expect(app.get(Stock).answered(1)).resolves.toEqual(['stock:1', 1]);
    await expect(app.get(Stock).job()).resolves.toBeUndefined();
    await lease.release();
    await expect(app.get(Stock).answered(1)).resolves.toBe(1);
    await expect(app.get(Stock).job()).resolves.toBe('ran');
  });

  it.each([[undefined], [null], [''], [NaN], [{}]])(
    'rejects and does not run for the key of %p',
    async (id) => {
      const stock = (await start([Stock])).get(Stock);
      await expect(stock.find(id as number)).rejects.toThrow(LockKeyError);
      await expect(stock.byFunction(id as number)).rejects.toThrow(LockKeyError);
    },
  );

  it('rejects for a function that names nothing', async () => {
    @Injectable()
    class Lists {
      @DistributedLock((ids: string[]) => ids)
      async all(ids: string[]): Promise<unknown> {
        return ids;
      }
    }
    const lists = (await start([Lists])).get(Lists);
    await expect(lists.all([])).rejects.toThrow('an empty list, so nothing would be locked');
    await expect(lists.all(['a', ''])).rejects.toThrow(LockKeyError);
    await expect(lists.all([1 as never])).rejects.toThrow('returned number, not a string');
    await expect(lists.all(Promise.resolve(['a']) as never)).rejects.toThrow('returned a promise');
  });

  it('says so when it returned no promise', async () => {
    @Injectable()
    class Careless {
      @DistributedLock('careless')
      now(): Promise<number> {
        return 1 as never;
      }

      @DistributedLock('careless')
      stream(): Promise<number> {
        return of(1) as never;
      }
    }
    const careless = (await start([Careless])).get(Careless);
    await expect(careless.now()).rejects.toThrow('Careless.now returned no promise');
    await expect(careless.stream()).rejects.toThrow(LockConfigurationError);
  });
});

describe('the host of a locked method', () => {
  @Injectable({ scope: Scope.REQUEST })
  class RequestScoped {
    @DistributedLock('scoped')
    async key(): Promise<unknown> {
      return inside();
    }
  }
  @Injectable({ scope: Scope.TRANSIENT })
  class Transient extends RequestScoped {}

  it('is there for request-scoped and transient instances', async () => {
    const app = await start([RequestScoped, Transient]);
    await expect((await app.resolve(RequestScoped)).key()).resolves.toBe('scoped');
    await expect((await app.resolve(Transient)).key()).resolves.toBe('scoped');
  });

  it('is there for what factories and values provide', async () => {
    const value = new Stock();
    const app = await start([
      { provide: 'made', useFactory: () => new Stock() },
      { provide: 'later', useFactory: async () => new Stock() },
      { provide: 'value', useValue: value },
      { provide: 'nothing', useValue: null },
    ]);
    for (const token of ['made', 'later', 'value']) {
      await expect(app.get<Stock>(token).find(1)).resolves.toEqual(['stock:1', 1, 'acme']);
    }
  });

  it('is that of the application that runs now for a value which several share', async () => {
    const value = new Stock();
    const providers = [{ provide: Stock, useValue: value }];
    await (await start(providers)).close();
    await start(providers);
    await expect(value.find(1)).resolves.toEqual(['stock:1', 1, 'acme']);
  });

  it('is that of the own application when there are several in one process', async () => {
    const [one, other] = [await start([Stock]), await start([Stock])];
    const lease = await one.get(LockService).acquire('stock:1');
    await expect(other.get(Stock).answered(1)).resolves.toBe(1);
    await expect(one.get(Stock).answered(1)).resolves.toEqual(['stock:1', 1]);
    await lease.release();
  });

  it('shows up in nothing that looks at the instance', async () => {
    const stock = (await start([Stock])).get(Stock);
    expect(stock).toEqual(new Stock());
    expect(Reflect.ownKeys({ ...stock })).toEqual(['tenant']);
    expect(Object.keys(stock)).toEqual(['tenant']);
  });

  it('is missed with a message that names the module to import', async () => {
    const testing = Test.createTestingModule({ providers: [Stock] });
    await expect(testing.compile()).rejects.toThrow(/add LockModule\.forRoot\(\) to the imports/);
    await expect(testing.compile()).rejects.toThrow(/nestjs-distributed-lock: the LockHost/);
  });

  it('is missed on a plain object with a message that names both ways out', async () => {
    const call = new Stock().find(1);
    await expect(call).rejects.toThrow(LockConfigurationError);
    await expect(call).rejects.toThrow(
      /Stock\.find .*LockModule\.forRoot\(\).*withoutLocks\(.*nestjs-distributed-lock\/testing/,
    );
  });

  it('is missed without an instance', async () => {
    const { find } = (await start([Stock])).get(Stock);
    await expect(find.call(undefined as never, 1)).rejects.toThrow(
      'Stock.find was called without its object',
    );
  });

  it('is replaced in unit tests, where keys are still checked', async () => {
    const stock = withoutLocks(new Stock());
    expect(stock).toBeInstanceOf(Stock);
    expect(stock).toEqual(new Stock());
    await expect(stock.find(1)).resolves.toEqual([undefined, 1, 'acme']);
    await expect(stock.find(undefined as never)).rejects.toThrow(LockKeyError);
  });
});

describe('inheritance', () => {
  @Injectable()
  abstract class Parent {
    abstract readonly name: string;
    log: unknown[] = [];

    @DistributedLock('parent:<this.name>')
    async work(): Promise<unknown> {
      return inside();
    }

    @DistributedLock('parent')
    async again(): Promise<unknown> {
      return inside();
    }
  }
  @Injectable()
  class Child extends Parent {
    readonly name = 'child';

    @DistributedLock('child')
    override async again(): Promise<unknown> {
      return [inside(), await super.again(), await this.work()];
    }
  }

  it('keeps the locks of a parent, of super and of this.other()', async () => {
    const child = (await start([Child])).get(Child);
    await expect(child.work()).resolves.toBe('parent:child');
    await expect(child.again()).resolves.toEqual(['child', 'parent', 'parent:child']);
  });
});

describe('other decorators', () => {
  @Injectable()
  class Allowed implements CanActivate {
    constructor(@Inject(Reflector) private readonly reflector: Reflector) {}

    canActivate(context: ExecutionContext): boolean {
      const roles = this.reflector.get<string[]>('roles', context.getHandler());
      context.switchToHttp().getRequest<{ roles: string[] }>().roles = roles;
      return true;
    }
  }

  /** As decorators do that leave a wrapper behind. */
  const Wrapped: MethodDecorator = (_target, _key, descriptor: PropertyDescriptor) => {
    const method = descriptor.value as (...args: unknown[]) => unknown;
    descriptor.value = function (this: unknown, ...args: unknown[]) {
      return method.apply(this, args);
    };
  };

  @Controller('stock')
  class StockController {
    ticks = 0;

    @Get('above/:id')
    @HttpCode(202)
    @SetMetadata('roles', ['above'])
    @UseGuards(Allowed)
    @DistributedLock('stock:<id>')
    async above(@Param('id', ParseIntPipe) id: number): Promise<unknown> {
      return { key: inside(), id };
    }

    @DistributedLock('stock:<id>')
    @Get('below/:id')
    @HttpCode(202)
    @SetMetadata('roles', ['below'])
    @UseGuards(Allowed)
    async below(@Param('id', ParseIntPipe) id: number): Promise<unknown> {
      return { key: inside(), id };
    }

    @Get('wrapped/:id')
    @DistributedLock('stock:<id>')
    @Wrapped
    async wrapped(@Param('id', ParseIntPipe) id: number): Promise<unknown> {
      return { key: inside(), id };
    }

    @Cron('0 0 1 1 *', { name: 'above' })
    @ExclusiveJob('above')
    async cronAbove(): Promise<void> {}

    @ExclusiveJob('below')
    @Cron('0 0 1 1 *', { name: 'below' })
    async cronBelow(): Promise<void> {}

    @ExclusiveJob('tick')
    @Interval('tick', 5)
    async tick(): Promise<void> {
      if (inside() === 'tick') this.ticks++;
    }
  }

  it('find what they left, above and below', async () => {
    const app = await start([Allowed], { controllers: [StockController] });
    await app.listen(0, '127.0.0.1');
    const get = async (path: string) => {
      const answer = await fetch(`${await app.getUrl()}/stock/${path}`);
      return [answer.status, await answer.json()];
    };
    expect(await get('above/042')).toEqual([202, { key: 'stock:42', id: 42 }]);
    expect(await get('below/42')).toEqual([202, { key: 'stock:42', id: 42 }]);
    expect(await get('wrapped/42')).toEqual([200, { key: 'stock:42', id: 42 }]);

    const { above, below } = StockController.prototype;
    const reflector = new Reflector();
    expect([reflector.get('roles', above), reflector.get('roles', below)]).toEqual([['above'], ['below']]);
    expect([above.name, above.length, below.name, below.length]).toEqual(['above', 1, 'below', 1]);

    const registry = app.get(SchedulerRegistry);
    expect([...registry.getCronJobs().keys()]).toEqual(expect.arrayContaining(['above', 'below']));
    const controller = app.get(StockController);
    await new Promise<void>((resolve) => {
      const poll = setInterval(() => controller.ticks > 1 && resolve(clearInterval(poll)), 5);
    });
  });
});

describe('what can not be locked', () => {
  type Decorate = (target: object, key: string, descriptor?: PropertyDescriptor) => void;
  const lock = (...args: [never, never?]) =>
    DistributedLock(...(args as unknown as ['stock'])) as unknown as Decorate;

  function decorate(
    key: unknown,
    options: unknown,
    method: unknown = async function (_id: number) {},
  ): () => void {
    class Stock_ {}
    Object.defineProperty(Stock_, 'name', { value: 'Stock' });
    const descriptor = { value: method, writable: true, configurable: true };
    return () => lock(key as never, options as never)(Stock_.prototype, 'method', descriptor);
  }

  it.each<[string, unknown, unknown, string]>([
    ['no key', undefined, {}, 'The key of Stock.method is undefined'],
    ['an empty key', '', {}, 'is an empty string'],
    ['an empty list', [], {}, 'is an empty list'],
    ['a list with a number', [1], {}, 'The key of Stock.method is 1'],
    ['an unknown parameter', 'stock:<other>', {}, 'It has: _id.'],
    ['a negative wait time', 'stock', { waitTime: -1 }, 'Stock.method: waitTime must be'],
    ['an unknown option', 'stock', { leaseTime: 5 }, 'It is called "holdAtMost" here'],
    ['an unknown outcome', 'stock', { whenBusy: 'wait' }, "whenBusy must be 'throw', 'skip' or a function"],
    ['a lease that is too long', 'stock', { ttl: 1e12 }, 'ttl must be a number of milliseconds'],
  ])('is refused when the class is defined: %s', (_what, key, options, message) => {
    expect(decorate(key, options)).toThrow(LockConfigurationError);
    expect(decorate(key, options)).toThrow(message);
  });

  it('is refused when the class is defined: generators, accessors, properties, static methods', () => {
    expect(decorate('stock', {}, async function* () {})).toThrow(
      'a generator runs after the call has returned',
    );
    expect(decorate('stock', {}, function* () {})).toThrow(LockConfigurationError);
    expect(() => lock('stock' as never)({}, 'accessor', { get: () => 1 })).toThrow(
      "Object.accessor can't be locked: it is no method",
    );
    expect(() => lock('stock' as never)({}, 'arrow')).toThrow('it is no method');
    class WithStatic {}
    expect(() => lock('stock' as never)(WithStatic, 'make', { value: async () => 1 })).toThrow(
      "WithStatic.make can't be locked: a static method belongs to no application",
    );
    const standard = { kind: 'method', name: 'method' };
    expect(() => lock('stock' as never)(async () => 1, standard as never)).toThrow(
      '"experimentalDecorators": true',
    );
  });

  it('is a busy lock by default, which throws', async () => {
    const app = await start([Stock]);
    const lease = await app.get(LockService).acquire('stock:1');
    @Injectable()
    class Impatient {
      @DistributedLock('stock:<0>', { waitTime: 0 })
      async once(_id: number): Promise<void> {}
    }
    await lease.release();
    const other = await start([Impatient]);
    const held = await other.get(LockService).acquire('stock:1');
    await expect(other.get(Impatient).once(1)).rejects.toThrow(LockBusyError);
    await held.release();
  });
});
