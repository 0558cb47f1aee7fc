import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { Admin, AdminError } from '../src/admin';
import { Changes } from '../src/changes';
import { Huddle } from '../src/huddle';
import { storable, tagGroups, taggable } from '../src/limits';
import { FailureLog } from '../src/log';
import { NodeProcess, Reach } from '../src/node-process';
import { HuddleSessionCacheStrategy } from '../src/session-cache-strategy';
import { Lines, session, until } from './support';

const everything = ['x:sessions', 'x:cache'];
const here: Reach = { socket: '', admin: new URL('http://127.0.0.1:1'), token: '' };

/** Stands for the node: it is up or down, and notes what it is sent or refuses it. */
class Stub extends EventEmitter {
    reach: Reach | undefined;
    readonly running = true;
    readonly sent: string[] = [];
    refuse: (what: string) => string | undefined = () => undefined; // the code
    readonly log = new Lines();
    readonly changes: Changes;
    underWay = 0;
    mostUnderWay = 0;

    constructor() {
        super();
        const admin = {
            set: (_: Reach, key: string) => this.take(`set ${key}`),
            remove: (_: Reach, key: string, final: boolean) => this.take(`${final ? 'end' : 'remove'} ${key}`),
            invalidate: (_: Reach, tags: string[]) => this.take(`invalidate ${tags.join()}`),
        };
        const node = this as unknown as NodeProcess;
        this.changes = new Changes(node, admin as unknown as Admin, 20, everything, this.log, new FailureLog(this.log));
    }

    up(at = here): void {
        this.reach = at;
        this.emit('up');
    }

    count(what: string): number {
        return this.sent.filter(one => one === what).length;
    }

    confirmed(): Promise<void> {
        return until('all is confirmed', () => this.changes.pending === 0);
    }

    private async take(what: string): Promise<void> {
        this.sent.push(what);
        this.mostUnderWay = Math.max(this.mostUnderWay, ++this.underWay);
        await new Promise(resolve => setImmediate(resolve));
        this.underWay--;
        const code = this.refuse(what);
        if (code) throw new AdminError(code, code);
    }
}

test('a final deletion outlasts any number of other changes without a node', async () => {
    const stub = new Stub();
    for (let i = 0; i < 12_000; i++) await stub.changes.set(`k${i}`, 'v', undefined, []);
    await stub.changes.remove('victim', true);
    await stub.changes.set('victim', 'v', undefined, []);
    assert.ok(stub.changes.pending <= 10_002, `${stub.changes.pending} pending`);
    stub.up();
    await stub.changes.set('victim', 'v', undefined, []);
    await stub.confirmed();
    assert.equal(stub.count('end victim'), 1);
    assert.equal(stub.count('set victim'), 0);
    assert.equal(stub.count('invalidate x:sessions,x:cache'), 1);
    const first = stub.sent.slice(0, 2).sort();
    assert.deepEqual(first, ['end victim', 'invalidate x:sessions,x:cache'], 'what matters most goes first');
    assert.ok(stub.mostUnderWay <= 64, `${stub.mostUnderWay} calls at a time`);
});

test('sets without a node end what they were to replace, and nothing else', async () => {
    const stub = new Stub();
    for (let i = 0; i < 100; i++) await stub.changes.set(`k${i}`, 'v', undefined, []);
    assert.ok(stub.changes.hides('k0') && !stub.changes.hides('other'));
    stub.up();
    await stub.confirmed();
    assert.equal(stub.sent.filter(what => what.startsWith('remove ')).length, 100);
    assert.equal(stub.sent.length, 100);
});

test('final deletions have a bound: the oldest are covered by an invalidation of everything, and told', async () => {
    const stub = new Stub();
    for (let i = 0; i < 100_001; i++) void stub.changes.remove(`k${i}`, true);
    await stub.changes.remove('last', true);
    assert.equal(stub.changes.pending, 100_001);
    assert.ok(stub.changes.hides('any'));
    assert.ok(stub.log.has(/^error over 100000 final deletions/));
    stub.up();
    await stub.confirmed();
    assert.equal(stub.count('end k0') + stub.count('end k1'), 0);
    assert.equal(stub.count('end k2') + stub.count('end last'), 2);
    assert.equal(stub.count('invalidate x:sessions,x:cache'), 1);
    assert.ok(!stub.changes.hides('any'));
});

test('a final deletion that waits is not made one that is not', async () => {
    const stub = new Stub();
    await stub.changes.remove('k', true);
    await stub.changes.remove('k', false);
    stub.up();
    await stub.confirmed();
    assert.deepEqual(stub.sent, ['end k']);
});

test('a change that is forbidden is not confirmed', async () => {
    const stub = new Stub();
    stub.refuse = () => 'forbidden';
    stub.up();
    for (let i = 0; i < 300; i++) await stub.changes.remove(`k${i}`, true);
    await stub.changes.invalidate(['t']);
    assert.equal(stub.changes.pending, 301);
    assert.ok(stub.changes.hides('k0') && stub.changes.hides('any'));
    await until('it is made again', () => stub.sent.length > 64);
    assert.ok(stub.mostUnderWay <= 64);
    stub.refuse = () => undefined;
    await stub.confirmed();
    assert.ok(!stub.changes.hides('k0') && !stub.changes.hides('any'));
});

test('a change without an answer of its own is judged by the status', async t => {
    for (const [status, code] of [
        [401, 'forbidden'],
        [403, 'forbidden'],
        [431, 'too_large'],
        [500, 'internal'],
    ] as const) {
        const server = createServer((_, res) => res.writeHead(status).end('no')).listen(0, '127.0.0.1');
        await new Promise(resolve => server.once('listening', resolve));
        const admin = new Admin();
        t.after(() => (admin.close(), server.close()));
        const at = { ...here, admin: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`) };
        await assert.rejects(admin.remove(at, 'k', true), (e: AdminError) => e.code === code);
    }
});

test('an invalidation that the node refuses becomes one of everything', async () => {
    const stub = new Stub();
    stub.refuse = what => (what === 'invalidate t' ? 'invalid' : undefined);
    stub.up();
    await stub.changes.invalidate(['t']);
    await stub.confirmed();
    assert.deepEqual(stub.sent, ['invalidate t', 'invalidate x:sessions,x:cache']);
});

test('an invalidation of many tags is made in parts', async () => {
    const stub = new Stub();
    stub.up();
    const tags = Array.from({ length: 150 }, (_, i) => `t${i}`);
    await stub.changes.invalidate(['', 'x'.repeat(1025), ...tags]);
    await stub.confirmed();
    assert.equal(stub.sent.length, 3);
    assert.deepEqual(stub.sent.flatMap(what => what.slice('invalidate '.length).split(',')).sort(), [...tags].sort());
    // Not one of the same name as another.
    stub.reach = undefined;
    await Promise.all([stub.changes.invalidate(['a', 'b']), stub.changes.invalidate(['a\0b'])]);
    assert.equal(stub.changes.pending, 2);
});

test('limits of the node', () => {
    assert.ok(storable('x'.repeat(1024)) && storable('ü😀'));
    for (const key of ['', 'x'.repeat(1025), 'ü'.repeat(513), 'a\ud800', '\udc00a']) assert.ok(!storable(key));
    const long = Array.from({ length: 63 }, (_, i) => 'ü'.repeat(500) + i);
    for (const group of tagGroups(long)) {
        assert.ok(new URLSearchParams(group.map((tag): [string, string] => ['tag', tag])).toString().length <= 12 << 10);
    }
    assert.deepEqual(tagGroups(long).flat(), long);
    assert.ok(taggable([]) && taggable(['a']) && !taggable(long) && !taggable(['a', '']));
});

test('there is nothing to delete under a key that cannot be stored', async () => {
    const stub = new Stub();
    stub.up();
    for (const key of ['vendure:item:\ud800', 'x'.repeat(1025)]) {
        await stub.changes.remove(key, false);
        await stub.changes.set(key, 'v', undefined, []);
    }
    assert.equal(stub.changes.pending, 0);
    assert.deepEqual(stub.sent, []);
    assert.ok(stub.log.has(/^error could not set an entry: its key/));
});

test('a deletion that the node says cannot be is over', async () => {
    const stub = new Stub();
    stub.refuse = () => 'too_large';
    stub.up();
    await stub.changes.remove('k', true);
    await stub.confirmed();
});

test('the end gives up what is not confirmed, and changes can begin again', async () => {
    const stub = new Stub();
    await stub.changes.remove('k', true);
    await stub.changes.end(1);
    assert.ok(stub.log.has('error 1 changes are given up'));
    assert.ok(!stub.changes.hides('k'));
    stub.up();
    await stub.changes.remove('k', true);
    assert.deepEqual(stub.sent, []);
    stub.changes.begin();
    await stub.changes.remove('k', true);
    await stub.confirmed();
    assert.deepEqual(stub.sent, ['end k']);
});

test('a change costs the same however many wait', async () => {
    // What is counted is listeners: with one for each change, taking them away is quadratic.
    const stub = new Stub();
    const before = stub.listenerCount('up');
    for (let i = 0; i < 1000; i++) await stub.changes.remove(`k${i}`, true);
    assert.equal(stub.listenerCount('up'), before);
});

test('the set of a session that is over removes what is kept of it', async () => {
    const huddle = new Huddle({ binary: '/nonexistent/huddle' }, new Lines());
    const removed: unknown[] = [];
    huddle['changes'].remove = async (...args) => void removed.push(args);
    const sessions = new HuddleSessionCacheStrategy(huddle);
    const over = { ...session(), expires: new Date(Date.now() - 1) };
    await sessions.set(over);
    assert.deepEqual(removed, [[`vendure:session:${over.token}`, false]]);
});
