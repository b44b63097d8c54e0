import { Agent, createServer, ServerResponse } from 'node:http';
import { once } from 'node:events';
import { createProxyServer } from 'http-proxy-3';

export interface LoadBalancer {
  readonly url: string;
  stop(): Promise<void>;
}

/** Hands the requests to the servers in turn: the first to the first, the second to the second, and so on. */
export async function startLoadBalancer(servers: readonly string[]): Promise<LoadBalancer> {
  const agent = new Agent({ keepAlive: true });
  const proxy = createProxyServer({ agent });
  // Without a listener a server that is gone would end this process.
  proxy.on('error', (error, _request, response) => {
    if (response instanceof ServerResponse && !response.headersSent)
      response.writeHead(502).end(error.message);
    else response.destroy();
  });

  let requests = 0;
  const balancer = createServer((request, response) => {
    proxy.web(request, response, { target: servers[requests++ % servers.length] });
  });
  balancer.listen(0, '127.0.0.1');
  await once(balancer, 'listening');
  const address = balancer.address();
  if (address === null || typeof address === 'string') throw new Error('The load balancer has no port');

  return {
    url: `http://127.0.0.1:${address.port}`,
    stop: async () => {
      balancer.close();
      balancer.closeAllConnections();
      await once(balancer, 'close');
      agent.destroy();
    },
  };
}
