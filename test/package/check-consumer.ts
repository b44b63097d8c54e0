import { join } from 'node:path';
import { BUNDLERS, bundle } from './bundles.js';
import { commandExplains, commandWorks } from './command-check.js';
import { ConsumerProject } from './consumer-project.js';
import type { Consumer, Format } from './consumers.js';
import type { Findings } from './findings.js';
import type { NodeVersion } from './node-versions.js';
import type { PackedLibrary } from './packed-library.js';
import type { SceneServers } from './scene-servers.js';

/** What all consumers are tried with. */
export interface Surroundings {
  readonly folder: string;
  readonly library: PackedLibrary;
  readonly nodes: readonly NodeVersion[];
  readonly servers: SceneServers;
  readonly findings: Findings;
}

/**
 * Installs, compiles and runs one consumer's project, in each of its formats.
 *
 * @param say - told what is being looked at
 */
export async function checkConsumer(
  consumer: Consumer,
  surroundings: Surroundings,
  say: (text: string) => void,
): Promise<void> {
  const { folder, library, findings } = surroundings;
  const project = new ConsumerProject(consumer, join(folder, consumer.name.replace(/\W+/g, '-')));
  say('npm install');
  let version = '';
  await findings.add(
    consumer.name,
    'installed',
    async () => (version = await project.install(library.tarball)),
  );
  if (version === '') return;
  for (const format of consumer.formats) {
    await new FormatCheck(project, format, surroundings, say).run();
  }
  const { name, spec, dependencies } = consumer;
  say('npx nestjs-distributed-lock');
  await findings.add(name, 'command', async () =>
    dependencies.ioredis === undefined
      ? commandExplains(project.folder)
      : commandWorks(project.folder, await surroundings.servers.environment()),
  );
  if (spec === undefined) return;
  say(spec);
  await findings.add(name, 'tests of the library', () => project.spec(spec));
}

class FormatCheck {
  private readonly subject: string;

  constructor(
    private readonly project: ConsumerProject,
    private readonly format: Format,
    private readonly surroundings: Surroundings,
    private readonly say: (text: string) => void,
  ) {
    this.subject = `${project.consumer.name}, ${format}`;
  }

  async run(): Promise<void> {
    const { project, format, surroundings } = this;
    if (!(await this.checkTypes())) return;
    for (const { name, file } of surroundings.nodes) {
      await this.look(name, async () => project.play(format, file, await this.environment()));
    }
    await this.look('jest', async () => project.jest(format, await this.environment()));
    if (this.isBundled) await this.checkBundles();
  }

  /** @returns whether there is something to run */
  private async checkTypes(): Promise<boolean> {
    const { project, format } = this;
    const { formats, resolutions } = project.consumer;
    const [first, ...further] = resolutions;
    const isCompiled = await this.look(`types ${first.name}`, () => project.compile(format));
    for (const resolution of further.filter((other) => other.formats.includes(format))) {
      await this.look(`types ${resolution.name}`, () => project.check(format, resolution));
    }
    // They are the same in each format, and all the packages around them take long.
    if (format === formats.at(-1)) await this.look('types within', () => project.checkDeclarations(format));
    return isCompiled;
  }

  /** One project with Redis is enough: the scripts have to come along, whatever else is there. */
  private get isBundled(): boolean {
    const { name, play } = this.project.consumer;
    return play === 'redis' && name.startsWith('Nest 12');
  }

  private async checkBundles(): Promise<void> {
    const { project, format, surroundings } = this;
    for (const bundler of BUNDLERS) {
      await this.look(bundler, async () => {
        const folder = join(surroundings.folder, `bundle-${bundler}-${format}`);
        const file = await bundle(bundler, project.main(format), folder);
        const environment = await this.environment();
        return project.withoutModules(() => project.playFile(file, process.execPath, environment));
      });
    }
  }

  private environment() {
    return this.surroundings.servers.environment();
  }

  private look(aspect: string, look: () => Promise<string>): Promise<boolean> {
    this.say(`${this.format}: ${aspect}`);
    return this.surroundings.findings.add(this.subject, aspect, look);
  }
}
