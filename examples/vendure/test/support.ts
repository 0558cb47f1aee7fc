import { ChildProcess, fork, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { Client } from 'pg';
import type { Order } from './observed-shop';

/** A replica of the shop, as a process of its own. */
export class Shop {
    readonly log: string[] = [];
    private child!: ChildProcess;
    private gone!: Promise<'gone'>;
    private url = '';

    constructor(
        private readonly env: Record<string, string>,
        private readonly main: '../src/shop.js' | '../src/worker.js' | './observed-shop.js' = '../src/shop.js',
    ) {}

    get pid(): number {
        return this.child.pid!;
    }

    /** Starts the replica and returns when it answers requests. */
    async start(): Promise<this> {
        const [port] = await freePorts(1);
        this.url = `http://127.0.0.1:${port}/admin-api`;
        const env = { ...process.env, ...this.env, SHOP_PORT: String(port) };
        this.child = fork(join(__dirname, this.main), { env, silent: true });
        for (const stream of [this.child.stdout!, this.child.stderr!]) {
            createInterface({ input: stream }).on('line', line => this.log.push(line));
        }
        this.gone = once(this.child, 'exit').then(() => 'gone' as const);
        const ready = await Promise.race([once(this.child, 'message'), this.gone]);
        if (ready === 'gone') throw new Error(`the shop did not start:\n${this.log.join('\n')}`);
        return this;
    }

    /** Gives an order to a replica that runs observed-shop.js, and returns its answer. */
    async tell<T>(message: Order): Promise<T> {
        this.child.send(message);
        const answer = await Promise.race([once(this.child, 'message'), this.gone]);
        if (answer === 'gone') throw new Error(`the shop ended:\n${this.log.join('\n')}`);
        return answer[0] as T;
    }

    /** Ends the replica as an operator would, and returns when it is gone. */
    async stop(): Promise<void> {
        if (this.child.exitCode !== null || this.child.signalCode !== null) return;
        this.child.kill('SIGTERM');
        await this.gone;
    }

    /** Process ids of what the replica started itself: its node. */
    children(): number[] {
        const list = readFileSync(`/proc/${this.pid}/task/${this.pid}/children`, 'utf8').trim();
        return list === '' ? [] : list.split(' ').map(Number);
    }

    /** Sends one request. It throws on anything but an answer of GraphQL. */
    async ask(query: string, token?: string, variables: object = {}): Promise<Answer> {
        const headers: Record<string, string> = { 'Content-Type': 'application/json' };
        if (token) headers.Authorization = `Bearer ${token}`;
        const response = await fetch(this.url, { method: 'POST', headers, body: JSON.stringify({ query, variables }) });
        const body = (await response.json()) as Answer;
        if (!response.ok) throw new Error(`status ${response.status}: ${JSON.stringify(body)}`);
        return { data: body.data, errors: body.errors, token: response.headers.get('vendure-auth-token') };
    }

    /** Logs in and returns the session token. */
    async logIn(name = 'superadmin', password = name): Promise<string> {
        const { data, token } = await this.ask(
            'mutation ($name: String!, $password: String!) { login(username: $name, password: $password) { ... on CurrentUser { id } } }',
            undefined,
            { name, password },
        );
        if (!data?.login?.id || !token) throw new Error('the log-in failed');
        return token;
    }

    async logOut(token: string): Promise<void> {
        const { data } = await this.ask('mutation { logout { success } }', token);
        if (!data?.logout?.success) throw new Error('the log-out failed');
    }

    /** Who the session belongs to; undefined if it is refused. It throws when the request fails. */
    async me(token: string): Promise<string | undefined> {
        return this.allowed('query { me { identifier } }', token, data => data.me?.identifier);
    }

    /** What pick finds in the answer; undefined if the request is refused. */
    async allowed<T>(query: string, token: string, pick: (data: any) => T): Promise<T | undefined> {
        const { data, errors } = await this.ask(query, token);
        if (errors?.some(e => e.extensions?.code === 'FORBIDDEN')) return undefined;
        if (errors) throw new Error(`the request failed: ${JSON.stringify(errors)}`);
        return pick(data);
    }
}

interface Answer {
    data: any;
    errors?: Array<{ message: string; extensions?: { code?: string } }>;
    token: string | null;
}

/** A huddle node that an operator runs beside the shop, with its Redis protocol on a port. */
export class Sidecar {
    private child: ChildProcess | undefined;

    /** listen is the node's own address for the others, join all of theirs, port that of the Redis protocol. */
    constructor(
        private readonly name: string,
        private readonly listen: string,
        private readonly join: string[],
        private readonly port: number,
    ) {}

    get redis(): string {
        return `127.0.0.1:${this.port}`;
    }

    /** Starts the node and returns when it is in sync with the others. */
    async start(...flags: string[]): Promise<void> {
        const args = ['serve', '--name', this.name, '--listen', this.listen, '--join', this.join.join(','), '--expect', `${this.join.length}`];
        args.push('--resp', this.redis, '--admin', 'off', '--default-ttl', '24h', '--when-unsure', 'miss', '--profile', 'local', ...flags);
        const child = spawn(process.env.HUDDLE_BINARY!, args, { stdio: ['ignore', 'ignore', 'pipe'] });
        this.child = child;
        const lines: string[] = [];
        await new Promise<void>((resolve, reject) => {
            createInterface({ input: child.stderr }).on('line', line => {
                lines.push(line);
                if (line.includes('msg="in sync"')) resolve();
            });
            child.once('error', reject);
            child.once('exit', () => reject(new Error(`the node ended:\n${lines.join('\n')}`)));
        });
    }

    async stop(): Promise<void> {
        const child = this.child;
        if (!child || child.exitCode !== null || child.signalCode !== null) return;
        const gone = once(child, 'exit');
        child.kill('SIGTERM');
        await gone;
    }
}

/** Sidecars of one cluster, not yet started. */
export async function sidecars(n: number): Promise<Sidecar[]> {
    const ports = await freePorts(2 * n);
    const join = ports.slice(0, n).map(port => `127.0.0.1:${port}`);
    return join.map((listen, i) => new Sidecar(`sidecar-${i + 1}`, listen, join, ports[n + i]));
}

/** What the environment of n replicas says for their nodes to form one cluster. */
export async function clusterEnv(n: number): Promise<Array<Record<string, string>>> {
    const join = (await freePorts(n)).map(port => `127.0.0.1:${port}`);
    return join.map((listen, i) => ({
        SHOP_CACHE: 'huddle',
        HUDDLE_NAME: `replica-${i + 1}`,
        HUDDLE_LISTEN: listen,
        HUDDLE_JOIN: join.join(','),
        HUDDLE_EXPECT: String(n),
        HUDDLE_PROFILE: 'local',
    }));
}

/** The shop's database, past the shop. */
export class Database {
    private readonly client = new Client(process.env.SHOP_DB);

    async open(): Promise<this> {
        await this.client.connect();
        return this;
    }

    close(): Promise<void> {
        return this.client.end();
    }

    /** Makes the row of a session one that Vendure refuses, behind its back, or one that it accepts again. */
    async invalidate(token: string, invalidated = true): Promise<void> {
        const { rowCount } = await this.client.query('UPDATE session SET invalidated = $1 WHERE token = $2', [invalidated, token]);
        if (rowCount !== 1) throw new Error(`${rowCount} rows for the session`);
    }

    /** Whether there is a row for a session. */
    async knows(token: string): Promise<boolean> {
        const { rowCount } = await this.client.query('SELECT 1 FROM session WHERE token = $1', [token]);
        return rowCount === 1;
    }

    /** Makes sessions as a log-in does, without the time a log-in takes. */
    async sessions(n: number, name = 'superadmin'): Promise<string[]> {
        const tokens = Array.from({ length: n }, () => randomBytes(32).toString('hex'));
        const { rowCount } = await this.client.query(
            `INSERT INTO session (token, expires, invalidated, "authenticationStrategy", type, "userId")
             SELECT token, now() + interval '1 year', false, 'native', 'AuthenticatedSession', "user".id
             FROM unnest($1::text[]) AS token, "user" WHERE "user".identifier = $2`,
            [tokens, name],
        );
        if (rowCount !== n) throw new Error(`${rowCount} sessions made`);
        return tokens;
    }
}

export async function freePorts(n: number): Promise<number[]> {
    const servers = Array.from({ length: n }, () => createServer().listen(0, '127.0.0.1'));
    await Promise.all(servers.map(server => once(server, 'listening')));
    const ports = servers.map(server => (server.address() as { port: number }).port);
    await Promise.all(servers.map(server => new Promise(resolve => server.close(resolve))));
    return ports;
}

/** Waits until something is so; fails after most milliseconds. */
export async function until(what: string, is: () => boolean | Promise<boolean>, most = 10_000): Promise<void> {
    for (const end = Date.now() + most; !(await is()); await pause(20)) {
        if (Date.now() > end) throw new Error(`not so after ${most} ms: ${what}`);
    }
}
