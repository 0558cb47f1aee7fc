// Starts real huddle nodes on loopback: the sidecars of the example, and the cluster that the tests of clients talk to.
import { spawn, execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));

// poll calls check until it returns something true, and returns that. It gives up after so many milliseconds.
export async function poll(what, check, within = 30_000) {
  const end = Date.now() + within;
  for (let last; ; await sleep(20)) {
    try {
      const result = await check();
      if (result) return result;
    } catch (err) {
      last = err;
    }
    if (Date.now() > end) throw new Error(`${what}: not within ${within} ms`, { cause: last });
  }
}

// freePorts finds ports that nobody listens on.
export async function freePorts(n) {
  const servers = await Promise.all(
    Array.from({ length: n }, async () => {
      const server = net.createServer().listen(0, '127.0.0.1');
      await once(server, 'listening');
      return server;
    }),
  );
  const ports = servers.map((s) => s.address().port);
  await Promise.all(servers.map((s) => new Promise((done) => s.close(done))));
  return ports;
}

// Process is a child process that can be killed and started again.
export class Process {
  #child;
  #log = '';

  constructor(name, file, args, env = {}) {
    Object.assign(this, { name, file, args, env });
  }

  start() {
    // HUDDLE_* would change the nodes, whose flags say all there is to say.
    const own = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('HUDDLE_')));
    const child = spawn(this.file, this.args, { env: { ...own, ...this.env }, stdio: ['ignore', 'pipe', 'pipe'] });
    const keep = (chunk) => (this.#log = (this.#log + chunk).slice(-4000));
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.on('error', (err) => keep(String(err)));
    this.#child = child;
    return this;
  }

  get running() {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  get log() {
    return this.#log;
  }

  // end sends a signal and waits for the process to be gone.
  async end(signal = 'SIGTERM') {
    if (!this.running) return;
    const gone = once(this.#child, 'exit');
    this.#child.kill(signal);
    await gone;
  }

  // answers waits until an HTTP address of the process says 200.
  async answers(url) {
    await poll(`${this.name} is ready`, async () => {
      if (!this.running) return true;
      return (await fetch(url)).ok;
    });
    if (!this.running) throw new Error(`${this.name} has ended:\n${this.#log}`);
  }
}

// Node is one `huddle serve`.
export class Node extends Process {
  async ready() {
    await this.answers(`http://127.0.0.1:${this.admin}/readyz`);
  }
}

// Cluster is several nodes on loopback. Its binary is $HUDDLE, or is built from this repository.
export class Cluster {
  #dir;

  static async start({ nodes = 3, args = [] } = {}) {
    const c = new Cluster();
    let binary = process.env.HUDDLE;
    if (!binary) {
      c.#dir = mkdtempSync(path.join(tmpdir(), 'huddle-'));
      binary = path.join(c.#dir, 'huddle');
      execFileSync('go', ['build', '-o', binary, './cmd/huddle'], { cwd: path.join(here, '..', '..'), stdio: 'inherit' });
    }
    const ports = await freePorts(3 * nodes);
    const listens = ports.slice(0, nodes).map((p) => `127.0.0.1:${p}`);
    c.nodes = listens.map((listen, i) => {
      const [resp, admin] = [ports[nodes + i], ports[2 * nodes + i]];
      const node = new Node(`node-${i + 1}`, binary, [
        'serve', '--name', `node-${i + 1}`, '--listen', listen, '--resp', `127.0.0.1:${resp}`, '--admin', `127.0.0.1:${admin}`,
        ...(nodes > 1 ? ['--join', listens.join(','), '--expect', String(nodes)] : []), ...args,
      ]);
      return Object.assign(node, { resp, admin });
    });
    try {
      c.nodes.forEach((n) => n.start());
      await Promise.all(c.nodes.map((n) => n.ready()));
    } catch (err) {
      await c.close();
      throw err;
    }
    return c;
  }

  async close() {
    await Promise.all(this.nodes.map((n) => n.end('SIGKILL')));
    if (this.#dir) rmSync(this.#dir, { recursive: true });
  }
}
