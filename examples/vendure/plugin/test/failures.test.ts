import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { settings } from '../src/options';
import { alive, Replica, replicas, session, until } from './support';

/** Runs something and fails if the shop had to wait longer for it than the budget of 50 ms and what a busy machine adds. */
async function soon<T>(work: Promise<T>): Promise<T> {
    const begun = performance.now();
    const result = await work;
    const took = performance.now() - begun;
    assert.ok(took < 400, `took ${took.toFixed()} ms`);
    return result;
}

test('a killed node is a miss and an error in the log, and is started again', async t => {
    const [a, b, c] = await replicas(t, 3);
    const [kept, ended] = [session(1), session(2)];
    for (const s of [kept, ended]) {
        await a.sessions.set(s);
        await until('it is known everywhere', async () => (await c.sessions.get(s.token)) !== undefined);
    }
    const pid = a.huddle.pid!;
    process.kill(pid, 'SIGKILL');
    await until('the end is noticed', () => a.log.has('error the node ended (by SIGKILL)'));

    assert.equal(await soon(a.sessions.get(kept.token)), undefined);
    assert.ok(a.log.has('error could not read from the cache'));
    await soon(a.sessions.delete(ended.token)); // the log-out of somebody whose replica has no node just now
    await soon(a.sessions.set(ended));
    assert.equal(await soon(a.sessions.get(ended.token)), undefined);

    await until('the node is back', () => a.huddle.pid !== undefined && a.huddle.pid !== pid);
    await until('the log-out is known everywhere', async () => {
        const found = await Promise.all([a, b, c].map(replica => replica.sessions.get(ended.token)));
        return a.huddle.pending === 0 && found.every(s => s === undefined);
    });
    await b.sessions.set(ended);
    assert.equal(await c.sessions.get(ended.token), undefined);
    // With two copies on three nodes nothing is lost, and the new node serves it again.
    await until('the session is served', async () => (await a.sessions.get(kept.token)) !== undefined);

    const told = [a, b, c].flatMap(replica => replica.log.lines).join('\n');
    for (const s of [kept, ended]) assert.ok(!told.includes(s.token), 'the log holds a token');
    assert.ok(!told.includes('example.com'), 'the log holds a value');
});

test('a node that hangs costs no call more than the budget, and a deletion goes on by itself', async t => {
    const [a, b] = await replicas(t, 3);
    const [s1, s2] = [session(1), session(1)];
    for (const s of [s1, s2]) {
        await a.sessions.set(s);
        await until('it is known everywhere', async () => (await b.sessions.get(s.token)) !== undefined);
    }
    const pid = a.huddle.pid!;
    process.kill(pid, 'SIGSTOP');
    const threads = () => readdirSync(`/proc/${pid}/task`).map(id => readFileSync(`/proc/${pid}/task/${id}/stat`, 'utf8'));
    await until('every thread has stopped', () => threads().every(stat => /\) T /.test(stat)));
    assert.equal(await soon(a.sessions.get(s1.token)), undefined);
    await soon(a.sessions.set(session(2)));
    await soon(a.sessions.delete(s1.token));
    assert.equal(await soon(a.sessions.get(s1.token)), undefined);
    assert.equal(await soon(a.items.get('x')), undefined);
    await soon(a.items.set('x', 1));
    await soon(a.sessions.revokeUser(1));
    await soon(a.sessions.clear());
    assert.ok(a.huddle.pending > 0);
    process.kill(pid, 'SIGCONT');
    await until('all is confirmed', () => a.huddle.pending === 0, 20_000);
    for (const s of [s1, s2]) assert.equal(await b.sessions.get(s.token), undefined);
});

test('without a binary the shop runs, without a cache', async t => {
    const replica = new Replica({ binary: '/nonexistent/huddle', startTimeout: 300 });
    t.after(() => replica.stop());
    await replica.start();
    assert.ok(replica.log.has('warn the node is not in sync after 300 ms'));
    assert.ok(replica.log.has(/^error the node ended .*"\/nonexistent\/huddle" was not found; .*HUDDLE_BINARY/), replica.log.lines.join('\n'));
    const s = session(1);
    await soon(replica.sessions.set(s));
    assert.equal(await soon(replica.sessions.get(s.token)), undefined);
    await soon(replica.sessions.delete(s.token));
    await soon(replica.sessions.clear());
    await soon(replica.items.set('a', 1, { tags: ['x'] }));
    assert.equal(await soon(replica.items.get('a')), undefined);
    await soon(replica.items.invalidateTags(['x']));
});

test('a binary that cannot be executed is told', async t => {
    const dir = mkdtempSync(join(tmpdir(), 'huddle-test-'));
    t.after(() => rmSync(dir, { recursive: true }));
    const binary = join(dir, 'huddle');
    writeFileSync(binary, '', { mode: 0o600 });
    const replica = new Replica({ binary, startTimeout: 300 });
    t.after(() => replica.stop());
    await replica.start();
    assert.ok(replica.log.has(/^error the node ended .*huddle" cannot be executed; .*HUDDLE_BINARY/), replica.log.lines.join('\n'));
});

test('a line that is read after the end of the node does not make it reachable', async t => {
    const dir = mkdtempSync(join(tmpdir(), 'huddle-test-'));
    t.after(() => rmSync(dir, { recursive: true }));
    const binary = join(dir, 'huddle');
    // The line comes from a child that waits until its parent has ended and was waited for.
    const line = '{"level":"INFO","msg":"node started","admin":"http://127.0.0.1:1"}';
    writeFileSync(binary, `#!/bin/sh\n(while kill -0 $$; do sleep 0.01; done 2>/dev/null; echo '${line}' >&2) &\nexit 1\n`, { mode: 0o700 });
    const replica = new Replica({ binary, startTimeout: 1 });
    t.after(() => replica.stop());
    let ups = 0;
    replica.huddle['node'].on('up', () => ups++);
    await replica.start();
    await until('the line is read', () => replica.log.has('info node started'));
    assert.equal(ups, 0);
    assert.equal(replica.huddle.adminUrl, undefined);
});

test('a mistake in the flags is told', async t => {
    const replica = new Replica({ listen: '10.0.0.1:7400', startTimeout: 500 });
    t.after(() => replica.stop());
    await replica.start();
    assert.ok(replica.log.has(/^error .*--key-file/), replica.log.lines.join('\n'));
});

test('the node ends with the shop', async t => {
    const replica = new Replica({ listen: '127.0.0.1:0' });
    await replica.start();
    const { pid } = replica.huddle;
    const { socket } = replica.huddle['node'].reach!;
    assert.ok(pid && existsSync(socket));
    await replica.sessions.destroy();
    assert.ok(alive(pid), 'ended while the other strategy uses it');
    await replica.items.destroy();
    assert.ok(!alive(pid));
    assert.ok(!existsSync(socket));
    assert.ok(replica.log.has('info left took='));

    await t.test('and can be started again', async () => {
        await replica.start();
        const s = session(1);
        await replica.sessions.set(s);
        assert.ok(await replica.sessions.get(s.token));
        await replica.stop();
    });
});

test('the node leaves also when the shop is killed', async () => {
    const shop = fork(join(__dirname, 'shop'));
    const [pid] = (await once(shop, 'message')) as [number];
    assert.ok(alive(pid));
    shop.kill('SIGKILL');
    await until('the node has ended', () => !alive(pid));
});

test('options', () => {
    const flags = (s: { flags: string[] }) => ` ${s.flags.join(' ')} `;
    const plain = settings({}, {});
    assert.equal(plain.binary, 'huddle');
    assert.ok(flags(plain).includes(' --when-unsure miss --delete revoke '));
    assert.ok(!flags(plain).includes('--name'));
    assert.ok(flags(settings({ join: ['a:1', 'b:2'] }, {})).includes(' --join a:1,b:2 '));
    // A name has to last: with port 0 the binary's own would change with each start.
    assert.match(flags(settings({ listen: '127.0.0.1:0' }, {})), / --name \S+-[0-9a-f]{8} /);
    assert.match(flags(settings({}, { HUDDLE_LISTEN: '127.0.0.1:0' })), / --name \S+-[0-9a-f]{8} /);
    assert.ok(flags(settings({ listen: '127.0.0.1:0', name: 'me' }, {})).includes(' --name me '));
    assert.ok(flags(settings({}, { HUDDLE_ADMIN: '127.0.0.1:7480' })).includes(' --admin 127.0.0.1:7480 '));
    for (const wrong of [{ timeout: 0 }, { sessionTtl: -1 }, { startTimeout: NaN }, { admin: 'off' }]) {
        assert.throws(() => settings(wrong, {}), /^Error: huddle: /);
    }
    for (const arg of ['--delete=remove', '--admin', '--resp-password-file=x', '--log-level']) {
        assert.throws(() => settings({ args: [arg] }, {}), /^Error: huddle: .* is chosen by the plugin/);
    }
    assert.throws(() => settings({}, { HUDDLE_ADMIN: 'off' }), /^Error: huddle: admin cannot be off/);
    const empty = { HUDDLE_ADMIN: '', HUDDLE_ADMIN_TOKEN_FILE: '', HUDDLE_BINARY: '', HUDDLE_EXPECT: '', HUDDLE_LISTEN: '', HUDDLE_NAME: '' };
    assert.deepEqual(settings({}, empty), plain);
});

test('what is set in the environment for other uses of the binary does not keep the plugin from its node', async t => {
    const ipv6 = Object.values(networkInterfaces()).some(addresses => addresses?.some(a => a.address === '::1'));
    const variables = { HUDDLE_LOG_LEVEL: 'error', HUDDLE_RESP_PASSWORD_FILE: __filename, HUDDLE_ADMIN: ipv6 ? '[::1]:0' : '127.0.0.1:0' };
    Object.assign(process.env, variables);
    const replica = new Replica({ listen: '127.0.0.1:0' });
    for (const name of Object.keys(variables)) delete process.env[name];
    t.after(() => replica.stop());
    await replica.start();
    const s = session(1);
    await replica.sessions.set(s);
    assert.ok(await replica.sessions.get(s.token), replica.log.lines.join('\n'));
    // HUDDLE_BINARY, which these tests are run with, is no flag of the node.
    assert.ok(!replica.log.has('that of no flag'));
});

test('the admin token may change while the shop runs', async t => {
    const dir = mkdtempSync(join(tmpdir(), 'huddle-test-'));
    t.after(() => rmSync(dir, { recursive: true }));
    const adminTokenFile = join(dir, 'token');
    writeFileSync(adminTokenFile, 'one\n');
    const [a] = await replicas(t, 1, { adminTokenFile, timeout: 5000 }); // longer than a busy machine takes
    for (const [lines, tokens] of [
        ['two\none\n', 2],
        ['# the first is gone\n\n  two\n', 1],
        ['three\n', 1], // at once: without a time in which both are accepted
    ] as const) {
        const before = a.log.lines.length;
        writeFileSync(adminTokenFile, lines);
        await until('the node has read it', () =>
            a.log.lines.slice(before).some(line => line.includes(`are in use admin_tokens=${tokens}`)),
        );
        const s = session(1);
        await a.sessions.set(s);
        assert.ok(await a.sessions.get(s.token), a.log.lines.join('\n'));
        await a.sessions.delete(s.token);
        assert.equal(a.huddle.pending, 0);
    }
    assert.deepEqual(a.log.errors, []);
});
