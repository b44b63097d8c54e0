import { connect } from 'node:net';

/**
 * Counts the commands that clients send while something runs, by MONITOR: what scripts call is left out. It slows Redis
 * down, so that nothing else may be measured meanwhile.
 */
export async function countCommands(url: string, run: () => Promise<void>): Promise<number> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  let commands = 0;
  let rest = '';
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.on('data', (chunk: Buffer) => {
      const lines = (rest + chunk.toString('latin1')).split('\r\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        if (line.startsWith('+OK')) resolve();
        else if (!/^\+\S+ \[\d+ lua\]/.test(line)) commands += 1;
      }
    });
    socket.write('MONITOR\r\n');
  });
  try {
    commands = 0;
    await run();
    return commands;
  } finally {
    socket.destroy();
  }
}
