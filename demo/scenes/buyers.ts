import { Agent, type IncomingMessage, request } from 'node:http';
import { json } from 'node:stream/consumers';

/** What one buyer was answered. */
export interface Purchase {
  readonly outcome: 'sold' | 'refused' | 'failed';
  /** From the order to the answer, in milliseconds. */
  readonly duration: number;
  /** The number of the order, for those that were sold. It rises in the order of service. */
  readonly order?: number;
  /** Which server it was, and when the order had arrived there, in milliseconds of a clock that all servers share. */
  readonly arrival?: { readonly server: string; readonly time: number };
  /** What went wrong, for those that failed. */
  readonly failure?: string;
}

/** Sends this many buyers at once, each with a connection of its own, and each for one item. */
export async function sendBuyers(
  shop: string,
  count: number,
  answered: (purchase: Purchase) => void,
): Promise<readonly Purchase[]> {
  const agent = new Agent({ maxSockets: Infinity });
  const buyer = async (): Promise<Purchase> => {
    const purchase = await buy(`${shop}/stock/1/orders`, agent);
    answered(purchase);
    return purchase;
  };
  return Promise.all(Array.from({ length: count }, buyer));
}

async function buy(url: string, agent: Agent): Promise<Purchase> {
  const start = performance.now();
  try {
    const response = await post(url, { quantity: 1 }, agent);
    const body = (await json(response)) as { readonly id?: number; readonly error?: string };
    const duration = performance.now() - start;
    const arrival = arrivalOf(response);
    if (response.statusCode === 201) return { outcome: 'sold', duration, order: body.id, arrival };
    if (body.error === 'Sold Out') return { outcome: 'refused', duration, arrival };
    return { outcome: 'failed', duration, failure: `${response.statusCode} ${JSON.stringify(body)}` };
  } catch (error) {
    return { outcome: 'failed', duration: performance.now() - start, failure: String(error) };
  }
}

function post(url: string, body: unknown, agent: Agent): Promise<IncomingMessage> {
  const payload = JSON.stringify(body);
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) };
  return new Promise((resolve, reject) => {
    request(url, { method: 'POST', agent, headers }, resolve).once('error', reject).end(payload);
  });
}

function arrivalOf({ headers }: IncomingMessage): Purchase['arrival'] {
  const { 'x-server': server, 'x-arrived-at': nanoseconds } = headers;
  if (typeof server !== 'string' || typeof nanoseconds !== 'string') return undefined;
  return { server, time: Number(BigInt(nanoseconds)) / 1e6 };
}
