import { TcpProxy } from '../faults/tcp-proxy';
import type { WorkerPlan } from './worker-plan';
import { WorkerProcess } from './worker-process';

/** What all lives of all workers have in common. */
export type CrewPlan = Omit<WorkerPlan, 'process' | 'life' | 'urls' | 'mode'>;

interface Post {
  readonly proxies: readonly TcpProxy[];
  readonly urls: readonly string[];
  worker: WorkerProcess | undefined;
}

/** How long a worker may take to end after it was told to, in milliseconds, beyond what its calls take. */
const LEAVE_LIMIT = 20_000;

/** The workers of a round: each has its own way to the servers, and may live several times. */
export class Crew {
  private readonly posts = new Map<string, Post>();
  private readonly complaints: string[] = [];
  private dismissed = false;

  static async gather(plan: CrewPlan, names: readonly string[], urls: readonly string[]): Promise<Crew> {
    const crew = new Crew(plan);
    try {
      for (const name of names) crew.posts.set(name, await openPost(urls));
      await Promise.all(names.map((name) => crew.start(name, 1, 'work')));
    } catch (error) {
      await crew.dismiss();
      throw error;
    }
    return crew;
  }

  private constructor(private readonly plan: CrewPlan) {}

  /** What workers did wrong that is in no history: they ended unasked, or did not end when asked. */
  get troubles(): readonly string[] {
    return this.complaints;
  }

  worker(name: string): WorkerProcess {
    const { worker } = this.post(name);
    if (worker === undefined) throw new Error(`${name} was never started.`);
    return worker;
  }

  proxies(name: string): readonly TcpProxy[] {
    return this.post(name).proxies;
  }

  /** Shuts a worker down in the middle of its work. */
  async leave(name: string): Promise<void> {
    const worker = this.worker(name);
    worker.tell('leave');
    await this.ends(worker, LEAVE_LIMIT);
  }

  /** Starts the next life of a worker that is gone. */
  async revive(name: string): Promise<void> {
    if (this.dismissed) return;
    await this.start(name, this.worker(name).plan.life + 1, 'work');
  }

  /** Nobody begins anything new. Resolves when every call is over and every process is gone. */
  async stop(limit: number): Promise<void> {
    const workers = [...this.posts.values()].flatMap(({ worker }) => worker ?? []);
    workers.forEach((worker) => worker.tell('stop'));
    await Promise.all(workers.map((worker) => this.ends(worker, limit)));
  }

  /** One process more, which takes each lock once. */
  async probe(name: string, urls: readonly string[], limit: number): Promise<void> {
    this.posts.set(name, await openPost(urls));
    const worker = await this.start(name, 1, 'probe');
    await this.ends(worker, limit);
  }

  /** Ends what is left, also after a failure. */
  async dismiss(): Promise<void> {
    this.dismissed = true;
    const posts = [...this.posts.values()];
    await Promise.all(posts.map(async ({ worker }) => worker?.kill()));
    await Promise.all(posts.flatMap(({ proxies }) => proxies.map((proxy) => proxy.close())));
    this.posts.clear();
  }

  private async start(name: string, life: number, mode: WorkerPlan['mode']): Promise<WorkerProcess> {
    const post = this.post(name);
    const seed = this.plan.seed + [...this.posts.keys()].indexOf(name) * 100 + life;
    const worker = await WorkerProcess.start({
      ...this.plan,
      process: name,
      life,
      mode,
      seed,
      urls: post.urls,
    });
    post.worker = worker;
    void worker.gone.then(() => {
      // A probe ends by itself.
      if (worker.endedUnasked && mode === 'work')
        this.complaints.push(`${name} ended unasked:\n${worker.said}`);
    });
    if (this.dismissed) await worker.kill();
    return worker;
  }

  /** A worker that is told to end has to do so by itself: what is left open would keep it. */
  private async ends(worker: WorkerProcess, limit: number): Promise<void> {
    const { process } = worker.plan;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<'late'>((resolve) => (timer = setTimeout(() => resolve('late'), limit)));
    const outcome = await Promise.race([worker.gone, late]);
    clearTimeout(timer);
    if (outcome === 'late') {
      this.complaints.push(`${process} did not end by itself within ${limit} ms:\n${worker.said}`);
      await worker.kill();
    } else if (!worker.endedWell) {
      this.complaints.push(`${process} ended with an error:\n${worker.said}`);
    }
  }

  private post(name: string): Post {
    const post = this.posts.get(name);
    if (post === undefined) throw new Error(`There is no worker ${name}.`);
    return post;
  }
}

async function openPost(urls: readonly string[]): Promise<Post> {
  const proxies = await Promise.all(
    urls.map((url) => TcpProxy.open({ host: new URL(url).hostname, port: Number(new URL(url).port) })),
  );
  return {
    proxies,
    urls: urls.map((url, index) => {
      const address = new URL(url);
      address.port = String(proxies[index]?.port);
      return address.href;
    }),
    worker: undefined,
  };
}
