import { ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Readable, Writable } from 'node:stream';
import { Log, reason } from './log';
import { Settings } from './options';

const firstPause = 100; // ms before a node that died is started again; doubled each time
const longestPause = 5000;
const pauseWithoutBinary = 60_000; // nothing but somebody's help ends that
const steady = 10_000; // ms after which a node counts as having run well

/**
 * What a shell does before it becomes the node: it leaves a watcher behind that waits for the end of descriptor 3. The shop holds
 * the other end. So the node leaves the cluster also when the shop is killed. A line on the descriptor sends the watcher away.
 */
const untilTheShopEnds = '(read -r _ <&3 || kill -TERM $$) >/dev/null 2>&1 & exec "$0" "$@" 3<&-';

/** Where a running node is reached. */
export interface Reach {
    socket: string;
    admin: URL;
    token: string;
}

/**
 * Runs `huddle serve` and starts it again when it ends, until stop(). Events: `up` when the node listens, `down` when it has ended.
 * Its methods do not throw for what befalls the node: that is told to the log.
 */
export class NodeProcess extends EventEmitter {
    private dir: string | undefined;
    private token = '';
    private child: ChildProcess | undefined;
    private admin: URL | undefined;
    private synced = false;
    private stopping = false;
    private supervised: Promise<void> | undefined;
    private wake: (() => void) | undefined; // ends a pause

    constructor(
        private readonly settings: Settings,
        private readonly log: Log,
    ) {
        super();
        this.setMaxListeners(0);
    }

    /** The process id of the node, while there is one. */
    get pid(): number | undefined {
        return this.child?.pid;
    }

    /** Whether the node is meant to run: from start() to stop(). */
    get running(): boolean {
        return this.supervised !== undefined && !this.stopping;
    }

    /** Where the node is reached while it listens, else undefined. */
    get reach(): Reach | undefined {
        return this.admin && this.dir ? { socket: join(this.dir, 'resp'), admin: this.admin, token: this.token } : undefined;
    }

    /** Starts the node. It returns when the node is in sync with its cluster, or after startTimeout. */
    async start(): Promise<void> {
        if (this.supervised) return;
        this.stopping = false;
        this.dir = mkdtempSync(join(tmpdir(), 'huddle-')); // for this user only
        if (this.settings.adminTokenFile) {
            this.readToken(this.settings.adminTokenFile);
        } else {
            this.token = randomBytes(32).toString('hex');
            writeFileSync(join(this.dir, 'token'), `${this.token}\n`, { mode: 0o600 });
        }
        const signal = AbortSignal.timeout(this.settings.startTimeout);
        const synced = once(this, 'synced', { signal }).then(
            () => true,
            () => false,
        );
        this.supervised = this.supervise();
        if (!(await synced) && !this.stopping) {
            this.log.warn(`the node is not in sync after ${this.settings.startTimeout} ms; the shop starts without waiting for it`);
        }
    }

    /** Lets the node leave its cluster, kills it if it does not, and returns when it has ended. */
    async stop(): Promise<void> {
        if (!this.supervised) return;
        this.stopping = true;
        this.wake?.();
        this.emit('synced'); // nobody waits for it any more
        const child = this.child;
        child?.kill('SIGTERM');
        const timer = setTimeout(() => child?.kill('SIGKILL'), this.settings.leaveTimeout + 3000);
        await this.supervised;
        clearTimeout(timer);
        this.supervised = undefined;
        if (this.dir) rmSync(this.dir, { recursive: true, force: true });
        this.dir = undefined;
    }

    private async supervise(): Promise<void> {
        let longest = longestPause;
        for (let pause = firstPause; !this.stopping; pause = Math.min(2 * pause, longest)) {
            const begun = performance.now();
            const end = await this.runOnce();
            if (this.stopping) return;
            if (performance.now() - begun > steady) pause = firstPause;
            const advice = this.withoutBinary(end);
            longest = advice ? pauseWithoutBinary : longestPause;
            this.log.error(
                `the node ended (${end}${advice}); it is started again in ${pause} ms, until then sessions come from the database`,
            );
            await new Promise<void>(resolve => {
                const timer = setTimeout(resolve, pause);
                this.wake = () => {
                    clearTimeout(timer);
                    resolve();
                };
            });
        }
    }

    /** What to do if the shell could not start the binary, else nothing. */
    private withoutBinary(end: string): string {
        const what = { 'with status 127': 'was not found', 'with status 126': 'cannot be executed' }[end];
        if (!what) return '';
        return `: the binary "${this.settings.binary}" ${what}; install it where PATH finds it, or name it with HUDDLE_BINARY or the option "binary"`;
    }

    /** Runs the node to its end and tells how it ended. */
    private async runOnce(): Promise<string> {
        const args = ['serve', ...this.settings.flags];
        args.push('--resp', `unix:${join(this.dir!, 'resp')}`);
        args.push('--admin-token-file', this.settings.adminTokenFile ?? join(this.dir!, 'token'));
        // A group of its own: ^C on a terminal reaches the shop, which lets the node go when the requests are done.
        const child = spawn('/bin/sh', ['-c', untilTheShopEnds, this.settings.binary, ...args], {
            detached: true,
            env: this.settings.env,
            stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
        });
        this.child = child;
        const watcher = child.stdio[3] as Writable | null;
        watcher?.on('error', () => undefined); // it is gone with the node, or sends itself away
        const lines = createInterface({ input: child.stderr as Readable });
        lines.on('line', line => this.said(line, child));
        const end = await new Promise<string>(resolve => {
            child.once('error', e => resolve(reason(e)));
            child.once('exit', (code, signal) => resolve(signal ? `by ${signal}` : `with status ${code}`));
        });
        watcher?.end('\n');
        this.child = undefined;
        this.admin = undefined;
        this.synced = false;
        this.emit('down');
        return end;
    }

    /** Takes the token that commands take from such a file too: the first of it. The node accepts each. */
    private readToken(file: string): void {
        const lines = readFileSync(file, 'utf8').split('\n');
        this.token = lines.map(line => line.trim()).find(line => line && !line.startsWith('#')) ?? '';
    }

    /** Reads the token again when the node has. One that cannot be read stays what it was, and the node says so too. */
    private readTokenAgain(): void {
        try {
            if (this.settings.adminTokenFile) this.readToken(this.settings.adminTokenFile);
        } catch (e) {
            this.log.error(`the admin token could not be read again: ${reason(e)}`);
        }
    }

    /** Takes a line of the node's log. Some are read when it has ended: they tell nothing of what runs now. */
    private said(line: string, by: ChildProcess): void {
        let entry: Record<string, unknown>;
        try {
            entry = JSON.parse(line) as Record<string, unknown>;
        } catch {
            this.log.error(line); // a mistake in the flags, or a crash
            return;
        }
        const { time: _, level, msg, ...rest } = entry;
        if (by !== this.child) {
            // only told
        } else if (msg === 'secrets have been read again and are in use') {
            this.readTokenAgain();
        } else if (msg === 'node started') {
            this.readTokenAgain(); // this node's is perhaps not that of the one before
            this.admin = reachable(String(rest.admin));
            this.emit('up');
        } else if (msg === 'in sync' && !this.synced) {
            this.synced = true;
            this.emit('synced');
        }
        const text = [String(msg), ...Object.entries(rest).map(([k, v]) => `${k}=${String(v)}`)].join(' ');
        switch (level) {
            case 'ERROR':
                this.log.error(text);
                break;
            case 'WARN':
                this.log.warn(text);
                break;
            case 'INFO':
                this.log.info(text);
                break;
            default:
                this.log.debug(text);
        }
    }
}

/** The address to call for one that is listened on. */
function reachable(listened: string): URL {
    const url = new URL(listened);
    if (url.hostname === '0.0.0.0' || url.hostname === '[::]') url.hostname = '127.0.0.1';
    return url;
}
