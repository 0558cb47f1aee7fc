import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Replica, replicas, session, until } from './support';

/** What is tested here is not how soon it is done. */
const patient = { timeout: 5000 };

/** A session without the fields that JSON leaves out. */
const bare = (s: object) => JSON.parse(JSON.stringify(s)) as object;

test('sessions', async t => {
    const [a, b] = await replicas(t, 2, patient);

    await t.test('a session set on one replica is found on the other, as it was', async () => {
        for (const s of [session(), session(7), session('5f0c-uuid')]) {
            await a.sessions.set(s);
            for (const replica of [a, b]) {
                const found = await replica.sessions.get(s.token);
                assert.ok(found);
                assert.ok(found.expires instanceof Date);
                assert.deepEqual(bare(found), bare(s));
                assert.equal(found.cacheExpiry, s.cacheExpiry);
            }
        }
    });

    await t.test('a token nobody has set is a miss', async () => {
        assert.equal(await a.sessions.get(session().token), undefined);
    });

    await t.test('what is deleted on one replica is refused on the other at once', async () => {
        for (let i = 0; i < 50; i++) {
            const s = session(7);
            await a.sessions.set(s);
            assert.ok(await b.sessions.get(s.token));
            await a.sessions.delete(s.token);
            assert.equal(await b.sessions.get(s.token), undefined);
            assert.equal(await a.sessions.get(s.token), undefined);
        }
    });

    await t.test('a request that was under way does not bring a deleted session back', async () => {
        const s = session(7);
        await a.sessions.set(s);
        await a.sessions.delete(s.token);
        await b.sessions.set(s);
        await a.sessions.set(s);
        assert.equal(await a.sessions.get(s.token), undefined);
        assert.equal(await b.sessions.get(s.token), undefined);
    });

    await t.test('changes of one session are made in order, without waiting for each', async () => {
        const s = session(7);
        const changes = Array.from({ length: 20 }, (_, i) => a.sessions.set({ ...s, activeOrderId: i }));
        await Promise.all(changes);
        assert.equal((await b.sessions.get(s.token))?.activeOrderId, 19);
        const last = [a.sessions.set(s), a.sessions.delete(s.token), a.sessions.set(s)];
        await Promise.all(last);
        assert.equal(await b.sessions.get(s.token), undefined);
    });

    await t.test('clear ends the sessions of all replicas and leaves the items', async () => {
        const [s1, s2] = [session(1), session()];
        await a.sessions.set(s1);
        await b.sessions.set(s2);
        await b.items.set('kept', 1);
        await a.sessions.clear();
        for (const replica of [a, b]) {
            assert.equal(await replica.sessions.get(s1.token), undefined);
            assert.equal(await replica.sessions.get(s2.token), undefined);
            assert.equal(await replica.items.get('kept'), 1);
        }
        await b.sessions.set(s1); // nobody was logged out
        assert.ok(await a.sessions.get(s1.token));
    });

    await t.test('revokeUser ends the sessions of that user alone', async () => {
        const mine = [session(41), session(41)];
        const others = [session(4), session('41a'), session()];
        for (const s of [...mine, ...others]) await a.sessions.set(s);
        await b.sessions.revokeUser(41);
        for (const replica of [a, b]) {
            for (const s of mine) assert.equal(await replica.sessions.get(s.token), undefined);
            for (const s of others) assert.ok(await replica.sessions.get(s.token));
        }
    });

    await t.test('an ended session is not kept, and a kept one ends with the session', async () => {
        const over = { ...session(), expires: new Date(Date.now() - 1) };
        await a.sessions.set(over);
        assert.equal(await a.sessions.get(over.token), undefined);
        const kept = session();
        await a.sessions.set(kept);
        await b.sessions.set({ ...kept, expires: over.expires });
        assert.equal(await a.sessions.get(kept.token), undefined);
        const short = { ...session(), expires: new Date(Date.now() + 300) };
        await a.sessions.set(short);
        assert.ok(await b.sessions.get(short.token));
        await until('it has ended', async () => (await b.sessions.get(short.token)) === undefined, 2000);
    });

    assert.deepEqual([...a.log.errors, ...b.log.errors], []);
});

test('items of the CacheService', async t => {
    const [a, b] = await replicas(t, 2, patient);

    await t.test('any JSON comes back on the other replica', async () => {
        for (const value of [0, '', 'text/with/../slashes?&=', true, null, [1, [2]], { a: { b: 'ü' } }]) {
            await a.items.set<any>('any', value);
            assert.deepEqual(await b.items.get<any>('any'), value);
        }
    });

    await t.test('any name of an item will do', async () => {
        for (const none of ['\ud800', 'x'.repeat(1100)]) {
            await a.items.delete(none);
            assert.equal(await a.items.get(none), undefined);
        }
        const names = ['.', '..', 'a/b', 'a%2Fb', 'a?b&c=d#e', 'ü', ' ', '\n', '%', ':tag:x'];
        for (const name of names) await a.items.set(name, name);
        for (const name of names) assert.equal(await b.items.get<any>(name), name);
    });

    await t.test('an item may be set again after it was deleted', async () => {
        await a.items.set('again', 1);
        await b.items.delete('again');
        assert.equal(await a.items.get('again'), undefined);
        await a.items.set('again', 2);
        assert.equal(await b.items.get('again'), 2);
    });

    await t.test('an item ends with its time to live', async () => {
        await a.items.set('short', 1, { ttl: 300 });
        await a.items.set('long', 1, { ttl: 1e15 });
        assert.equal(await b.items.get('short'), 1);
        await until('it has ended', async () => (await b.items.get('short')) === undefined, 2000);
        assert.equal(await b.items.get('long'), 1);
        await a.items.set('long', 1, { ttl: -1 });
        assert.equal(await b.items.get('long'), undefined);
    });

    await t.test('tags end the items that have one of them', async () => {
        await a.items.set('x', 1, { tags: ['red', 'a b&c'] });
        await a.items.set('y', 2, { tags: ['blue'] });
        await b.items.set('z', 3, { tags: ['red', 'blue'] });
        await b.items.set('plain', 4);
        await b.items.invalidateTags(['a b&c', 'nobody']);
        assert.equal(await a.items.get('x'), undefined);
        assert.equal(await a.items.get('z'), 3);
        await a.items.invalidateTags(['blue']);
        assert.equal(await b.items.get('y'), undefined);
        assert.equal(await b.items.get('z'), undefined);
        assert.equal(await b.items.get('plain'), 4);
        await a.items.invalidateTags([]);
        await a.items.set('x', 5, { tags: ['red'] });
        const many = Array.from({ length: 100 }, (_, i) => `${i}${'ü'.repeat(400)}`);
        await b.items.invalidateTags([...many, 'x'.repeat(1100), 'red']);
        assert.equal(await a.items.get('x'), undefined);
        await a.items.set('x', 5, { tags: ['red'] });
        assert.equal(await b.items.get('x'), 5);
    });

    assert.deepEqual([...a.log.errors, ...b.log.errors], []);

    await t.test('an item over the size limit is told and not kept, nor is what was there before', async () => {
        await a.items.set('big', 1);
        await a.items.set('big', 'x'.repeat(2 << 20));
        await until('it is gone', async () => (await b.items.get('big')) === undefined);
        assert.ok(a.log.has(/^error could not set an entry: over the size limit/));
    });
});

test('clear before init is made good when the node runs', async t => {
    const [a] = await replicas(t, 1, patient);
    const s = session(1);
    await a.sessions.set(s);
    const listen = /--listen (\S+)/.exec(a.huddle.settings.flags.join(' '))![1];
    const late = new Replica({ name: 'late', listen: '127.0.0.1:0', join: listen });
    t.after(() => late.stop());
    await late.sessions.clear();
    assert.deepEqual(late.log.lines, []);
    assert.ok(await a.sessions.get(s.token));
    await late.start();
    await until('the session is gone', async () => (await a.sessions.get(s.token)) === undefined);
    await until('all is confirmed', () => late.huddle.pending === 0);
});
