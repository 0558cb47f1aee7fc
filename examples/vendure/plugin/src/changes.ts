import { setTimeout as pause } from 'node:timers/promises';
import { Admin, AdminError } from './admin';
import { storable, tagGroups, taggable } from './limits';
import { FailureLog, Log, reason } from './log';
import { NodeProcess, Reach } from './node-process';
import { Queue } from './queue';

const firstPause = 100; // ms before what failed is made again; doubled each time
const longestPause = 2000;
const mostUnderWay = 64; // calls to the node

/** Lanes without a final deletion. What is over is covered by one invalidation of everything. */
const mostPending = 10_000;

/** Lanes with a final deletion, which nothing else can stand for. They have a bound of their own, so that nothing else fills it. */
const mostFinal = 100_000;

/** Codes of the node for a key, tag or value that no entry can have. No repetition changes that. */
const impossible = new Set(['too_large', 'invalid']);

/** Codes of failures that are not due to the change: just now another would fare no better. */
const general = new Set(['forbidden', 'unreachable', 'unavailable', 'overload', 'closed']);

type Change =
    | { kind: 'set'; key: string; value: string; ttl: number | undefined; tags: string[] }
    | { kind: 'deletion'; key: string; final: boolean }
    | { kind: 'invalidation'; tags: string[] };

/** The changes of one key, or the invalidations of the same tags: one under way, and the one to be made after it. */
interface Lane {
    readonly name: string;
    wanted: Change | undefined;
    underWay: boolean;
    pause: number; // ms, the next one
    again: NodeJS.Timeout | undefined; // the pause that lasts
    final: boolean; // a final deletion is among them: no set may follow
    overdue: boolean; // a caller went on before they were confirmed
    readonly done: Promise<void>;
    readonly finish: () => void;
}

/**
 * Makes the changes of entries. Every method returns when the change is confirmed, or after the budget, or at once while the node
 * takes no changes; none rejects.
 *
 * A deletion or invalidation is made again until it is confirmed, also by a node that was started anew. A set that fails becomes a
 * deletion, for what it was to replace is out of date. While a change is not confirmed and its caller had to go on without it,
 * hides() tells this process not to trust what it reads. Changes of one key are made in order, and of those that wait only the last
 * is made; a final deletion stays final.
 */
export class Changes {
    private readonly lanes = new Map<string, Lane>();
    private readonly finals = new Queue<Lane>();
    private readonly urgent = new Queue<Lane>(); // to be made, before the others
    private readonly others = new Queue<Lane>();
    private readonly everythingName: string;
    private underWay = 0;
    private overdueInvalidations = 0;
    private rest: NodeJS.Timeout | undefined; // after a general failure
    private restPause = firstPause;
    private ended = false;

    constructor(
        private readonly node: NodeProcess,
        private readonly admin: Admin,
        private readonly budget: number,
        private readonly everything: string[], // tags; every entry has one of them
        private readonly log: Log,
        private readonly failures: FailureLog,
    ) {
        this.everythingName = invalidationName(everything);
        node.on('up', () => this.endRest());
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
    async set(key: string, value: string, ttl: number | undefined, tags: string[]): Promise<void> {
        if (this.lanes.get(key)?.final) return;
        if (!storable(key)) {
            this.failures.failed('set', 'could not set an entry: its key is empty, over 1024 bytes or not Unicode');
        } else if (!taggable(tags)) {
            await this.removeInstead(key, 'it has more tags than the node takes, or longer ones');
        } else if (!this.reach) {
            await this.removeInstead(key, this.node.reach ? 'the node took none of the last changes' : 'the node is not running');
        } else {
            await this.make(key, { kind: 'set', key, value, ttl, tags });
        }
    }

    /** Deletes an entry. If it is final, no later set of the key is accepted for an hour, wherever it comes from. */
    async remove(key: string, final: boolean): Promise<void> {
        if (storable(key)) await this.make(key, { kind: 'deletion', key, final });
    }

    /** Removes all entries that have one of the tags. */
    async invalidate(tags: string[]): Promise<void> {
        await Promise.all(tagGroups(tags).map(group => this.make(invalidationName(group), { kind: 'invalidation', tags: group })));
    }

    /** Makes changes again after end(). */
    begin(): void {
        this.ended = false;
        this.pump();
    }

    /** Waits for what is not confirmed, at most so many milliseconds, and gives up the rest. */
    async end(most: number): Promise<void> {
        const all = [...this.lanes.values()].map(lane => lane.done);
        if (all.length > 0) {
            const over = new AbortController();
            const { signal } = over;
            await Promise.race([Promise.all(all), pause(most, undefined, { signal }).catch(() => undefined)]);
            over.abort();
        }
        if (this.lanes.size > 0) {
            this.log.error(`${this.lanes.size} changes are given up at the end; other replicas may serve what they were to replace`);
        }
        this.ended = true;
        clearTimeout(this.rest);
        this.rest = undefined;
        for (const lane of [...this.lanes.values()]) this.settle(lane);
    }

    /** Where changes can be sent just now. */
    private get reach(): Reach | undefined {
        return this.ended || this.rest ? undefined : this.node.reach;
    }

    private removeInstead(key: string, why: string): Promise<void> {
        this.failures.failed('set', `could not set an entry: ${why}`);
        return this.make(key, { kind: 'deletion', key, final: false });
    }

    private async make(name: string, change: Change): Promise<void> {
        if (this.ended) return;
        if (!this.node.reach && this.node.running) {
            this.failures.failed(change.kind, `the node is not running: ${a(change)} waits for it`);
        }
        if (this.lanes.has(name) || isFinal(change) || !this.covered(change)) {
            await this.wait(this.want(name, change));
        } else {
            await this.wait(this.wantEverything());
        }
    }

    /** Tells whether an invalidation of everything stands for a change that has no lane. */
    private covered(change: Change): boolean {
        if (change.kind !== 'set' && this.lanes.get(this.everythingName)?.wanted) return true; // it is yet to be sent
        if (this.lanes.size - this.finals.size < mostPending) return false;
        this.failures.failed('many', 'too many changes are not confirmed: everything is invalidated in their place');
        return true;
    }

    private wantEverything(): Lane {
        return this.want(this.everythingName, { kind: 'invalidation', tags: this.everything });
    }

    private want(name: string, change: Change): Lane {
        const lane = this.lanes.get(name) ?? this.open(name);
        if (change.kind === 'deletion' && lane.final) change = { ...change, final: true };
        lane.wanted = change;
        if (isFinal(change) && !lane.final) {
            lane.final = true;
            this.others.delete(lane);
            this.finals.add(lane);
            if (this.finals.size > mostFinal) this.giveUpOldest();
        }
        if (!lane.underWay && !lane.again) this.line(lane);
        this.pump();
        return lane;
    }

    private open(name: string): Lane {
        let finish = () => {};
        const done = new Promise<void>(resolve => (finish = resolve));
        const lane: Lane = {
            name,
            wanted: undefined,
            underWay: false,
            pause: firstPause,
            again: undefined,
            final: false,
            overdue: false,
            done,
            finish,
        };
        this.lanes.set(name, lane);
        return lane;
    }

    /** The oldest final deletions go first: a late write of what they ended has most likely come by now. */
    private giveUpOldest(): void {
        const oldest = this.finals.take();
        if (!oldest) return;
        this.failures.failed(
            'final',
            `over ${mostFinal} final deletions are not confirmed: for the oldest an invalidation of everything is made, and a late write can bring back what it ended`,
        );
        this.settle(oldest);
        this.goOn(this.wantEverything());
    }

    /** Ends a lane, whatever has become of its changes. */
    private settle(lane: Lane): void {
        clearTimeout(lane.again);
        this.urgent.delete(lane);
        this.others.delete(lane);
        this.finals.delete(lane);
        this.lanes.delete(lane.name);
        if (lane.overdue && isInvalidation(lane)) this.overdueInvalidations--;
        lane.finish();
    }

    /** Waits for a lane as long as its caller can. */
    private async wait(lane: Lane): Promise<void> {
        if (!this.reach || !(await this.within(lane.done))) this.goOn(lane);
    }

    /** Takes down that a caller does not wait any longer. */
    private goOn(lane: Lane): void {
        if (lane.overdue || this.lanes.get(lane.name) !== lane) return;
        lane.overdue = true;
        if (isInvalidation(lane)) this.overdueInvalidations++;
    }

    private line(lane: Lane): void {
        const queue = lane.final || lane.name === this.everythingName ? this.urgent : this.others;
        queue.add(lane);
    }

    /** Sends what can be sent. */
    private pump(): void {
        while (this.underWay < mostUnderWay) {
            const at = this.reach;
            const lane = at && (this.urgent.take() ?? this.others.take());
            if (!lane) return;
            void this.run(at, lane);
        }
    }

    /** Makes the change that a lane wants, and has it make the next. */
    private async run(at: Reach, lane: Lane): Promise<void> {
        const change = lane.wanted!;
        lane.wanted = undefined;
        lane.underWay = true;
        this.underWay++;
        const next = change.kind === 'set' ? await this.trySet(at, change) : await this.tryRemoval(at, change);
        this.underWay--;
        lane.underWay = false;
        if (this.lanes.get(lane.name) === lane) {
            lane.wanted ??= next;
            if (!lane.wanted) {
                this.settle(lane);
            } else if (next && change.kind !== 'set' && !this.rest) {
                this.lineLater(lane);
            } else {
                this.line(lane); // a deletion in place of a set is a first try, and in a rest all wait
            }
        }
        this.pump();
    }

    private lineLater(lane: Lane): void {
        lane.again = setTimeout(() => {
            lane.again = undefined;
            this.line(lane);
            this.pump();
        }, lane.pause);
        lane.pause = Math.min(2 * lane.pause, longestPause);
    }

    /** Sets once. It returns what has to be done if what was there before may not be gone. */
    private async trySet(at: Reach, change: Change & { kind: 'set' }): Promise<Change | undefined> {
        try {
            await this.admin.set(at, change.key, change.value, change.ttl, change.tags);
            this.restPause = firstPause;
            return undefined;
        } catch (e) {
            if (e instanceof AdminError && e.code === 'revoked') {
                this.log.debug('a session that had been deleted was not set again');
                return undefined;
            }
            this.failures.failed('set', `could not set an entry: ${reason(e)}`);
            this.restAfter(e);
            return { kind: 'deletion', key: change.key, final: false };
        }
    }

    /** Makes a deletion or invalidation once. It returns what has to be done if it is not confirmed. */
    private async tryRemoval(at: Reach, change: Exclude<Change, { kind: 'set' }>): Promise<Change | undefined> {
        try {
            if (change.kind === 'deletion') {
                await this.admin.remove(at, change.key, change.final);
            } else {
                await this.admin.invalidate(at, change.tags);
            }
            this.restPause = firstPause;
            return undefined;
        } catch (e) {
            if (e instanceof AdminError && impossible.has(e.code)) {
                if (change.kind === 'deletion') return undefined; // there is no such entry
                this.failures.failed('refused', `the node refuses an invalidation, everything is invalidated in its place: ${reason(e)}`);
                return { kind: 'invalidation', tags: this.everything };
            }
            this.failures.failed(change.kind, `${a(change)} is not confirmed and will be made again: ${reason(e)}`);
            this.restAfter(e);
            return change;
        }
    }

    /** Sends nothing for a while after a failure that would befall every change. */
    private restAfter(e: unknown): void {
        if (this.rest || this.ended || !(e instanceof AdminError && general.has(e.code))) return;
        this.rest = setTimeout(() => {
            this.rest = undefined;
            this.pump();
        }, this.restPause);
        this.restPause = Math.min(2 * this.restPause, longestPause);
    }

    /** A node that was started anew is tried at once. */
    private endRest(): void {
        clearTimeout(this.rest);
        this.rest = undefined;
        this.restPause = firstPause;
        this.pump();
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

function isFinal(change: Change): boolean {
    return change.kind === 'deletion' && change.final;
}

/** Names of invalidations cannot be keys: these begin with the namespace. */
function invalidationName(tags: string[]): string {
    return `\0${JSON.stringify(tags)}`;
}

function isInvalidation(lane: Lane): boolean {
    return lane.name.startsWith('\0');
}

function a(change: Change): string {
    return change.kind === 'invalidation' ? 'an invalidation' : `a ${change.kind}`;
}
