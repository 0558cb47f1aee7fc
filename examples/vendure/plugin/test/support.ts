import { createServer } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import type { TestContext } from 'node:test';
import type { CachedSession } from '@vendure/core';
import { HuddleCacheStrategy } from '../src/cache-strategy';
import { Huddle } from '../src/huddle';
import { Log } from '../src/log';
import { HuddleOptions } from '../src/options';
import { HuddleSessionCacheStrategy } from '../src/session-cache-strategy';

/** Keeps what is logged, one line each, beginning with the level. */
export class Lines implements Log {
    readonly lines: string[] = [];
    error = (m: string) => void this.lines.push(`error ${m}`);
    warn = (m: string) => void this.lines.push(`warn ${m}`);
    info = (m: string) => void this.lines.push(`info ${m}`);
    debug = (m: string) => void this.lines.push(`debug ${m}`);
    has(text: string | RegExp): boolean {
        return this.lines.some(line => (typeof text === 'string' ? line.includes(text) : text.test(line)));
    }
    get errors(): string[] {
        return this.lines.filter(line => line.startsWith('error'));
    }
}

/** One replica of a shop, as far as the cache goes. */
export class Replica {
    readonly log = new Lines();
    readonly huddle: Huddle;
    readonly sessions: HuddleSessionCacheStrategy;
    readonly items: HuddleCacheStrategy;

    constructor(options: HuddleOptions) {
        this.huddle = new Huddle({ args: ['--lease', '300ms', '--profile', 'local'], ...options }, this.log);
        this.sessions = new HuddleSessionCacheStrategy(this.huddle);
        this.items = new HuddleCacheStrategy(this.huddle);
    }

    async start(): Promise<void> {
        await this.sessions.init();
        await this.items.init();
    }

    async stop(): Promise<void> {
        await this.items.destroy();
        await this.sessions.destroy();
    }
}

/** Starts replicas that form one cluster, and stops them when the test ends. */
export async function replicas(t: TestContext, n: number, options: HuddleOptions = {}): Promise<Replica[]> {
    const ports = await freePorts(n);
    const join = ports.map(port => `127.0.0.1:${port}`);
    const all = join.map((listen, i) => new Replica({ name: `shop-${i + 1}`, listen, join, expect: n, ...options }));
    t.after(async () => {
        for (const replica of all) await replica.stop(); // one by one: each hands over to those that are left
    });
    await Promise.all(all.map(replica => replica.start()));
    return all;
}

export async function freePorts(n: number): Promise<number[]> {
    const servers = await Promise.all(
        Array.from(
            { length: n },
            () =>
                new Promise<ReturnType<typeof createServer>>(resolve => {
                    const server = createServer().listen(0, '127.0.0.1', () => resolve(server));
                }),
        ),
    );
    const ports = servers.map(server => (server.address() as { port: number }).port);
    await Promise.all(servers.map(server => new Promise(resolve => server.close(resolve))));
    return ports;
}

let made = 0;

/** A session as Vendure makes them, with a token of its own. */
export function session(user?: string | number): CachedSession {
    const token = `${Date.now().toString(16)}${(made++).toString(16).padStart(6, '0')}`.padStart(64, 'f');
    return {
        cacheExpiry: Date.now() / 1000 + 300.25,
        id: made,
        token,
        expires: new Date(Date.now() + 3600_000),
        activeOrderId: undefined,
        activeChannelId: 1,
        ...(user === undefined
            ? {}
            : {
                  authenticationStrategy: 'native',
                  user: {
                      id: user,
                      identifier: 'grüße@example.com',
                      verified: true,
                      channelPermissions: [{ id: 1, token: 'default', code: '__default_channel__', permissions: [] }],
                  },
              }),
    };
}

/** Waits until something is so; fails after most milliseconds. */
export async function until(what: string, is: () => boolean | Promise<boolean>, most = 10_000): Promise<void> {
    for (const end = Date.now() + most; !(await is()); await pause(10)) {
        if (Date.now() > end) throw new Error(`not so after ${most} ms: ${what}`);
    }
}

/** Whether a process exists. */
export function alive(pid: number): boolean {
    try {
        process.kill(pid, 0);
        return true;
    } catch {
        return false;
    }
}
