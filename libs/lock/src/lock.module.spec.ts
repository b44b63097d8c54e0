import { Injectable } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { DistributedLock, LockModule, LockService } from 'nestjs-distributed-lock';

@Injectable()
class Stock {
  inside = 0;
  most = 0;

  @DistributedLock('stock:<id>')
  async decrease(id: number): Promise<number> {
    this.most = Math.max(this.most, ++this.inside);
    await new Promise(setImmediate);
    this.inside--;
    return id;
  }
}

describe('LockModule', () => {
  it('lets one caller at a time in with nothing configured', async () => {
    const app = await Test.createTestingModule({
      imports: [LockModule.forRoot()],
      providers: [Stock],
    }).compile();
    await app.init();
    const stock = app.get(Stock);
    await Promise.all(Array.from({ length: 20 }, () => stock.decrease(1)));
    expect(stock.most).toBe(1);
    expect(app.get(LockService, { strict: false })).toBeInstanceOf(LockService);
    await app.close();
  });
});
