import { Admin } from './admin';
import { Changes } from './changes';
import { storable } from './limits';
import { FailureLog, Log, reason } from './log';
import { NodeProcess } from './node-process';
import { HuddleOptions, Settings, settings } from './options';
import { Reader } from './reader';

const lastWords = 2000; // ms for changes that are not confirmed when the shop ends

/**
 * The shop's node and the way to it. No call takes longer than the budget, and none rejects: a read that fails is a miss, and what
 * went wrong is in the log. Both strategies of a shop share one; who uses it calls start() and, once for each start(), stop().
 */
export class Huddle {
    readonly settings: Settings;
    private readonly node: NodeProcess;
    private readonly reader: Reader;
    private readonly admin = new Admin();
    private readonly changes: Changes;
    private readonly failures: FailureLog;
    private readonly sessions: string;
    private users = 0;

    constructor(options: HuddleOptions, log: Log) {
        this.settings = settings(options);
        const { namespace, timeout } = this.settings;
        this.sessions = `${namespace}:sessions`;
        this.failures = new FailureLog(log);
        this.node = new NodeProcess(this.settings, log);
        this.reader = new Reader(this.node, timeout);
        this.changes = new Changes(this.node, this.admin, timeout, [this.sessions, `${namespace}:cache`], log, this.failures);
    }

    /** The process id of the node, while it runs. */
    get pid(): number | undefined {
        return this.node.pid;
    }

    /** Where the node's status page and metrics are, while it runs. */
    get adminUrl(): string | undefined {
        return this.node.reach?.admin.href;
    }

    /** The number of changes that are not confirmed. */
    get pending(): number {
        return this.changes.pending;
    }

    /** Starts the node with the first call. It returns when the node is in sync, or after startTimeout. */
    async start(): Promise<void> {
        if (this.users++ > 0) return;
        this.changes.begin();
        await this.node.start();
    }

    /** With the last call, lets the node leave its cluster and waits for its end. */
    async stop(): Promise<void> {
        if (this.users === 0 || --this.users > 0) return;
        await this.changes.end(lastWords);
        await this.node.stop();
        this.reader.close();
        this.admin.close();
    }

    /** The text of a session, or undefined. */
    getSession(token: string): Promise<string | undefined> {
        return this.get(this.sessionKey(token));
    }

    /** Keeps a session for ttl milliseconds. The node finds the user in it, for revokeUser. */
    async setSession(token: string, text: string, ttl: number): Promise<void> {
        await this.changes.set(this.sessionKey(token), text, ttl, [this.sessions]);
    }

    /** Ends a session for good: a request that is still under way with it, on any replica, cannot bring it back. */
    deleteSession(token: string): Promise<void> {
        return this.changes.remove(this.sessionKey(token), true);
    }

    /** Removes what is kept of a session. Unlike one that was ended it may be set again. */
    dropSession(token: string): Promise<void> {
        return this.changes.remove(this.sessionKey(token), false);
    }

    /** Removes the sessions of all users from the cache of all replicas. */
    clearSessions(): Promise<void> {
        return this.changes.invalidate([this.sessions]);
    }

    /** Removes the sessions of one user from the cache of all replicas. */
    revokeUser(id: string | number): Promise<void> {
        return this.changes.invalidate([`user:${id}`]);
    }

    /** The text of a cached item, or undefined. */
    getItem(key: string): Promise<string | undefined> {
        return this.get(this.itemKey(key));
    }

    /** Keeps an item for ttl milliseconds; undefined is without end, unless the node has a default. */
    async setItem(key: string, text: string, ttl: number | undefined, tags: string[]): Promise<void> {
        const { namespace } = this.settings;
        await this.changes.set(this.itemKey(key), text, ttl, [`${namespace}:cache`, ...tags.map(tag => this.itemTag(tag))]);
    }

    /** Removes an item. Unlike a session it may be set again. */
    deleteItem(key: string): Promise<void> {
        return this.changes.remove(this.itemKey(key), false);
    }

    /** Removes all items that have one of the tags. */
    async invalidateItems(tags: string[]): Promise<void> {
        if (tags.length > 0) await this.changes.invalidate(tags.map(tag => this.itemTag(tag)));
    }

    /** Tells the log of something stored that cannot be read. */
    unreadable(what: string): void {
        this.failures.failed('unreadable', `${what} in the cache could not be read`);
    }

    private async get(key: string): Promise<string | undefined> {
        if (!storable(key) || this.changes.hides(key)) return undefined;
        try {
            const text = await this.reader.get(key);
            return this.changes.hides(key) ? undefined : text;
        } catch (e) {
            this.failures.failed('get', `could not read from the cache, the database is asked instead: ${reason(e)}`);
            return undefined;
        }
    }

    private sessionKey(token: string): string {
        return `${this.settings.namespace}:session:${token}`;
    }

    private itemKey(key: string): string {
        return `${this.settings.namespace}:item:${key}`;
    }

    private itemTag(tag: string): string {
        return `${this.settings.namespace}:tag:${tag}`;
    }
}
