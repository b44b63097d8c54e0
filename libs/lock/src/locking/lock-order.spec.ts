import { Logger } from '@nestjs/common';
import { LockOrderCheck } from './lock-order.js';

describe('the check of the order of locks', () => {
  const warn = jest.spyOn(Logger.prototype, 'warn').mockImplementation();
  beforeEach(() => warn.mockClear());
  afterAll(() => warn.mockRestore());

  it('warns once when two resources are taken in both orders, with both places', () => {
    const order = new LockOrderCheck();
    order.note('stock', 'order', 'Shop.sell');
    order.note('stock', 'order', 'Shop.sell');
    expect(warn).not.toHaveBeenCalled();
    order.note('order', 'stock', 'Billing.pay');
    order.note('order', 'stock', 'Billing.pay');
    order.note('stock', 'order', 'Shop.sell');
    expect(warn).toHaveBeenCalledTimes(1);
    const message = String(warn.mock.calls[0]?.[0]);
    expect(message).toMatch(/"order" and "stock" are locked in both orders/);
    expect(message).toMatch(/Shop\.sell[^]*Billing\.pay|Billing\.pay[^]*Shop\.sell/);
  });

  it('says nothing of one order, nor of one resource inside of itself', () => {
    const order = new LockOrderCheck();
    order.note('stock', 'order', 'Shop.sell');
    order.note('order', 'invoice', 'Shop.sell');
    order.note('stock', 'stock', 'Shop.sell');
    expect(warn).not.toHaveBeenCalled();
  });
});
