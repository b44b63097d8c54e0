import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { eventually } from '../../support/eventually';
import { TcpProxy } from './tcp-proxy';

describe('the proxy between a process and its server', () => {
  let server: Server;
  let proxy: TcpProxy;
  let heard: string;
  let client: Socket;
  let answered: string;

  beforeEach(async () => {
    heard = '';
    answered = '';
    server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.on('data', (data) => {
        heard += data.toString();
        socket.write(data.toString().toUpperCase());
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    proxy = await TcpProxy.open({ host: '127.0.0.1', port: (server.address() as AddressInfo).port });
    client = connect(proxy.port, '127.0.0.1');
    client.on('data', (data) => (answered += data.toString()));
    client.on('error', () => undefined);
    await once(client, 'connect');
  });

  afterEach(async () => {
    client.destroy();
    await proxy.close();
    await new Promise((resolve) => server.close(resolve));
  });

  it('hands on what both sides say', async () => {
    client.write('hello');
    await eventually('the answer comes', () => answered === 'HELLO');
    expect(heard).toBe('hello');
  });

  it('hands it on late, and in order, when it is slow', async () => {
    proxy.slowDown(() => 75);
    const sentAt = performance.now();
    for (const letter of 'abcdef') {
      client.write(letter);
      await new Promise(setImmediate);
    }
    await eventually('all answers come', () => answered.length === 6);
    expect(answered).toBe('ABCDEF');
    expect(performance.now() - sentAt).toBeGreaterThanOrEqual(118);
  });

  it('says nothing while it is silent, and all of it afterwards', async () => {
    client.write('a');
    await eventually('the answer comes', () => answered === 'A');
    proxy.fallSilent();
    client.write('b');
    const second = connect(proxy.port, '127.0.0.1');
    let secondAnswer = '';
    second.on('data', (data) => (secondAnswer += data.toString()));
    second.write('c');
    // Somebody who is not silenced shows that there was time enough.
    const beside = connect((server.address() as AddressInfo).port, '127.0.0.1');
    beside.write('d');
    await once(beside, 'data');
    expect(heard).toBe('ad');
    proxy.speakAgain();
    await eventually('both answers come', () => answered === 'AB' && secondAnswer === 'C');
    second.destroy();
    beside.destroy();
  });

  it('hands on, late, what somebody said who is gone by then', async () => {
    client.write('a');
    await eventually('the answer comes', () => answered === 'A');
    proxy.fallSilent();
    client.end('b');
    await once(client, 'finish');
    client.destroy();
    await once(client, 'close');
    proxy.speakAgain();
    await eventually('the server hears it', () => heard === 'ab');
  });

  it('cuts both ends, and lets in who comes again', async () => {
    const closed = once(client, 'close');
    proxy.cut();
    await closed;
    const again = connect(proxy.port, '127.0.0.1');
    again.write('again');
    const [data] = (await once(again, 'data')) as [Buffer];
    expect(data.toString()).toBe('AGAIN');
    again.destroy();
  });
});
