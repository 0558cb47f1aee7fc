import { setMaxListeners } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { Admin, AdminError } from './admin';
import { FailureLog, Log, reason } from './log';
import { NodeProcess, Reach } from './node-process';

const firstPause = 100; // ms before a change that failed is made again; doubled each time
const longestPause = 2000;
const mostPending = 10_000; // lanes; what is over is covered by one invalidation of everything

/** Codes of the node that no repetition changes. */
const hopeless = new Set(['too_large', 'invalid', 'forbidden', 'condition']);

type Change =
    | { kind: 'set'; key: string; value: string; ttl: number | undefined; tags: string[] }
    | { kind: 'deletion'; key: string; final: boolean }
    | { kind: 'invalidation'; tags: string[] };

/** The changes of one key, or the invalidations of the same tags: one under way, and the one to be made after it. */
interface Lane {
    wanted: Change | undefined;
    done: Promise<void>;
    final: boolean; // a final deletion is among them: no set may follow
    overdue: boolean; // a caller went on before they were confirmed
}

/**
 * Makes the changes of entries. Every method returns when the change is confirmed, or after the budget; none rejects.
 *
 * A deletion or invalidation is made again until it is confirmed, also by a node that was started anew. A set that fails becomes a
 * deletion, for what it was to replace is out of date. While a change is not confirmed and its caller had to go on without it,
 * hides() tells this process not to trust what it reads. Changes of one key are made in order, and of those that wait only the last
 * is made.
 */
export class Changes {
    private readonly lanes = new Map<string, Lane>();
    private overdueInvalidations = 0;
    private ended = new AbortController();

    constructor(
        private readonly node: NodeProcess,
        private readonly admin: Admin,
        private readonly budget: number,
        private readonly everything: string[], // tags; every entry has one of them
        private readonly log: Log,
        private readonly failures: FailureLog,
    ) {
        this.begin();
    }

    /** The number of keys and sets of tags with a change that is not confirmed. */
    get pending(): number {
        return this.lanes.size;
    }

    /** Tells whether what is read of a key may be what this process has changed. */
    hides(key: string): boolean {
        return this.overdueInvalidations > 0 || this.lanes.get(key)?.overdue === true;
    }

    /** Sets an entry. ttl is in milliseconds; undefined is the node's default. */
    set(key: string, value: string, ttl: number | undefined, tags: string[]): Promise<void> {
        if (this.lanes.get(key)?.final) return Promise.resolve();
        return this.make(key, { kind: 'set', key, value, ttl, tags });
    }

    /** Deletes an entry. If it is final, no later set of the key is accepted for an hour, wherever it comes from. */
    remove(key: string, final: boolean): Promise<void> {
        return this.make(key, { kind: 'deletion', key, final });
    }

    /** Removes all entries that have one of the tags. */
    invalidate(tags: string[]): Promise<void> {
        return this.make(`\0${tags.join('\0')}`, { kind: 'invalidation', tags });
    }

    /** Makes changes again after end(). */
    begin(): void {
        if (!this.ended.signal.aborted && this.lanes.size > 0) return;
        this.ended = new AbortController();
        setMaxListeners(0, this.ended.signal);
    }

    /** Waits for what is not confirmed, at most so many milliseconds, and gives up the rest. */
    async end(most: number): Promise<void> {
        const all = [...this.lanes.values()].map(lane => lane.done);
        if (all.length > 0) {
            const { signal } = this.ended;
            await Promise.race([Promise.all(all), pause(most, undefined, { signal }).catch(() => undefined)]);
        }
        if (this.lanes.size > 0) {
            this.log.error(`${this.lanes.size} changes are given up at the end; other replicas may serve what they were to replace`);
        }
        this.ended.abort();
    }

    private async make(name: string, change: Change): Promise<void> {
        if (!this.lanes.has(name) && this.lanes.size >= mostPending) {
            this.failures.failed('many', 'too many changes are not confirmed: everything is invalidated in their place');
            change = { kind: 'invalidation', tags: this.everything };
            name = `\0${this.everything.join('\0')}`;
        }
        const lane = this.want(name, change);
        if ((await this.within(lane.done)) || lane.overdue || this.lanes.get(name) !== lane) return;
        lane.overdue = true;
        if (change.kind !== 'invalidation') return;
        this.overdueInvalidations++;
        void lane.done.then(() => this.overdueInvalidations--);
    }

    private want(name: string, change: Change): Lane {
        let lane = this.lanes.get(name);
        if (lane) {
            lane.wanted = change;
        } else {
            lane = { wanted: change, done: Promise.resolve(), final: false, overdue: false };
            this.lanes.set(name, lane);
            lane.done = this.drive(name, lane);
        }
        lane.final ||= change.kind === 'deletion' && change.final;
        return lane;
    }

    /** Makes the changes of a lane until none is wanted. */
    private async drive(name: string, lane: Lane): Promise<void> {
        for (let change = lane.wanted; change; change = lane.wanted) {
            lane.wanted = undefined;
            if (change.kind !== 'set') {
                await this.insist(change, lane);
            } else if (!(await this.trySet(change))) {
                lane.wanted ??= { kind: 'deletion', key: change.key, final: false };
            }
        }
        this.lanes.delete(name);
    }

    /** Sets once and tells whether what was there before is gone. */
    private async trySet(change: Change & { kind: 'set' }): Promise<boolean> {
        try {
            const at = this.node.reach;
            if (!at) throw new Error('the node is not running');
            await this.admin.set(at, change.key, change.value, change.ttl, change.tags);
            return true;
        } catch (e) {
            if (e instanceof AdminError && e.code === 'revoked') {
                this.log.debug('a session that had been deleted was not set again');
                return true;
            }
            this.failures.failed('set', `could not set an entry: ${reason(e)}`);
            return false;
        }
    }

    /** Makes a deletion or invalidation until it is confirmed, another change is wanted in its place, or the end. */
    private async insist(change: Exclude<Change, { kind: 'set' }>, lane: Lane): Promise<void> {
        const { signal } = this.ended;
        for (let wait = firstPause; !signal.aborted && !lane.wanted; wait = Math.min(2 * wait, longestPause)) {
            const at = this.node.reach;
            if (!at) {
                if (this.node.running) this.failures.failed(change.kind, `the node is not running: a ${change.kind} waits for it`);
                await this.up(signal);
                continue;
            }
            try {
                await this.send(at, change);
                return;
            } catch (e) {
                if (e instanceof AdminError && hopeless.has(e.code)) {
                    this.failures.failed(change.kind, `the node refuses a ${change.kind}: ${reason(e)}`);
                    return;
                }
                this.failures.failed(change.kind, `a ${change.kind} is not confirmed and will be made again: ${reason(e)}`);
            }
            await pause(wait, undefined, { signal }).catch(() => undefined);
        }
    }

    private send(at: Reach, change: Exclude<Change, { kind: 'set' }>): Promise<void> {
        if (change.kind === 'deletion') return this.admin.remove(at, change.key, change.final);
        return this.admin.invalidate(at, change.tags);
    }

    /** Returns when the node listens, or at the end. */
    private up(signal: AbortSignal): Promise<void> {
        return new Promise(resolve => {
            const over = () => {
                this.node.off('up', over);
                signal.removeEventListener('abort', over);
                resolve();
            };
            this.node.on('up', over);
            signal.addEventListener('abort', over);
        });
    }

    /** Waits for done within the budget and tells whether it came. */
    private within(done: Promise<void>): Promise<boolean> {
        return new Promise(resolve => {
            const timer = setTimeout(() => resolve(false), this.budget);
            void done.then(() => {
                clearTimeout(timer);
                resolve(true);
            });
        });
    }
}
