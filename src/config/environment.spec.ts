import 'reflect-metadata';
import { validateEnvironment } from './environment';

describe('validateEnvironment', () => {
  it('starts a web server with the memory strategy when nothing is set', () => {
    expect(validateEnvironment({})).toEqual({
      ROLE: 'web',
      LOCK_STRATEGY: 'memory',
      LOCK_WAIT_TIME: 30_000,
      REDIS_URL: 'redis://127.0.0.1:6379',
      REDIS_URLS: 'redis://127.0.0.1:6379,redis://127.0.0.1:6380,redis://127.0.0.1:6381',
      HOST: '127.0.0.1',
      PORT: 3000,
    });
  });

  it('takes a variable that is set to nothing for one that is not set', () => {
    expect(validateEnvironment({ ROLE: '', PORT: '', POSTGRES_URL: '' })).toEqual(validateEnvironment({}));
  });

  it('reads numbers', () => {
    expect(validateEnvironment({ PORT: '0', LOCK_WAIT_TIME: '250' })).toMatchObject({
      PORT: 0,
      LOCK_WAIT_TIME: 250,
    });
  });

  it.each([
    [
      'LOCK_STRATEGY',
      'zookeeper',
      'LOCK_STRATEGY must be one of: none, memory, redis, quorum, typeorm, but it is "zookeeper"',
    ],
    ['ROLE', 'WEB', 'ROLE must be one of: web, batch, but it is "WEB"'],
    ['PORT', '65536', 'PORT must be a whole number from 0 to 65535, but it is "65536"'],
    ['PORT', 'http', 'PORT must be a whole number from 0 to 65535, but it is "http"'],
    ['REDIS_URL', 'localhost:6379', 'REDIS_URL must be an address such as redis://127.0.0.1:6379'],
    [
      'REDIS_URLS',
      'redis://one,redis://two',
      'REDIS_URLS must be the addresses of three Redis masters or more',
    ],
    ['POSTGRES_URL', 'mysql://localhost/shop', 'POSTGRES_URL must be an address such as postgres://'],
  ])('says which values %s may have when it is %s', (name, value, message) => {
    expect(() => validateEnvironment({ [name]: value })).toThrow(message);
  });

  it('names every mistake at once', () => {
    expect(() => validateEnvironment({ ROLE: 'x', PORT: '-1' })).toThrow(/ROLE must.*\n.*PORT must/);
  });

  it('keeps a password out of the message', () => {
    expect(() => validateEnvironment({ REDIS_URL: 'http://:secret@redis' })).toThrow(/^(?!.*secret)/s);
    expect(() => validateEnvironment({ REDIS_URLS: 'http://:secret@redis' })).toThrow(/^(?!.*secret)/s);
  });

  it.each(['redis://:secret@redis:6379/2', 'rediss://redis.example.com'])('accepts %s for Redis', (url) => {
    expect(validateEnvironment({ REDIS_URL: url }).REDIS_URL).toBe(url);
  });

  it('accepts an address of PostgreSQL with a password and a host without dots', () => {
    const url = 'postgres://shop:secret@database:5432/shop';
    expect(validateEnvironment({ POSTGRES_URL: url }).POSTGRES_URL).toBe(url);
  });
});
