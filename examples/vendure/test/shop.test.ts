import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { after, before, describe, test } from 'node:test';
import { logOutRace, traffic } from './races';
import { clusterEnv, Database, Shop, Sidecar, sidecars, until } from './support';

const logOuts = 150;
const db = new Database();
before(() => db.open());
after(() => db.close());

/** Logs in on one replica and out on it; the other has to know both at once, without the database. */
async function inAndOut(a: Shop, b: Shop): Promise<void> {
    const token = await a.logIn();
    // With the row as good as gone, only the cache can answer. Otherwise the database would hide that there is none.
    await db.invalidate(token);
    for (const shop of [b, a, b]) assert.equal(await shop.me(token), 'superadmin');
    await db.invalidate(token, false);
    await a.logOut(token);
    for (const shop of [b, a, b]) assert.equal(await shop.me(token), undefined);
}

/** Makes a role that may see administrators, and somebody with that role. */
async function clerk(shop: Shop, name: string) {
    const boss = await shop.logIn();
    const role = await shop.ask(
        `mutation ($code: String!) { createRole(input: { code: $code, description: "x", permissions: [ReadAdministrator] }) { id } }`,
        boss,
        { code: name },
    );
    const { id } = role.data.createRole;
    const made = await shop.ask(
        `mutation ($name: String!, $id: ID!) { createAdministrator(input: { firstName: "x", lastName: "y", emailAddress: $name,
         password: $name, roleIds: [$id] }) { id } }`,
        boss,
        { name, id },
    );
    assert.ok(made.data.createAdministrator.id);
    return {
        /** What needs the permission; undefined if it is refused. */
        look: (at: Shop, token: string) => at.allowed('{ administrators { totalItems } }', token, data => data.administrators.totalItems),
        /** Takes the permission away, or gives it. */
        change: async (at: Shop, may: boolean) => {
            const answer = await at.ask(
                `mutation ($id: ID!, $may: [Permission!]) { updateRole(input: { id: $id, permissions: $may }) { id } }`,
                boss,
                { id, may: may ? ['ReadAdministrator'] : [] },
            );
            assert.equal(answer.data?.updateRole.id, id);
        },
    };
}

async function roleChange(a: Shop, b: Shop, name: string): Promise<void> {
    const { look, change } = await clerk(a, name);
    const token = await a.logIn(name);
    for (const shop of [a, b]) assert.ok((await look(shop, token))! > 0);
    await change(a, false);
    for (const shop of [b, a]) assert.equal(await look(shop, token), undefined);
    await change(b, true);
    for (const shop of [a, b]) assert.ok((await look(shop, token))! > 0);
}

for (const kind of ['printed', 'redis-plugin'] as const) {
    describe(`a Redis client's port on huddle: ${kind}`, () => {
        let a: Shop, b: Shop, nodes: Sidecar[];
        const restart = async (...flags: string[]) => {
            for (const node of nodes) await node.stop();
            await Promise.all(nodes.map(node => node.start(...flags)));
        };

        before(async () => {
            nodes = await sidecars(2);
            await restart('--delete', 'remove');
            const shops = nodes.map(node => new Shop({ SHOP_CACHE: kind, SHOP_REDIS: node.redis }).start());
            [a, b] = await Promise.all(shops);
        });
        after(async () => {
            await Promise.all([a, b].map(shop => shop.stop()));
            for (const node of nodes) await node.stop();
        });

        test('logged in on A, known on B from the cache, logged out on A, refused on B at once', () => inAndOut(a, b));

        if (kind === 'redis-plugin') {
            test('a role change reaches every replica', () => roleChange(a, b, 'clerk@redis-plugin'));
        }

        test('sessions that come back after a log-out', async t => {
            const before = await logOutRace(a, b, db, logOuts);
            t.diagnostic(`--delete=remove: ${before} of ${logOuts} came back`);
            await restart('--delete', 'revoke');
            const afterwards = await logOutRace(a, b, db, logOuts);
            t.diagnostic(`--delete=revoke: ${afterwards} of ${logOuts} came back`);
            assert.equal(afterwards, 0);
            await inAndOut(a, b); // the caches do work, which is why none came back
        });
    });
}

describe('@huddle/vendure-plugin', () => {
    let a: Shop, b: Shop, c: Shop;

    before(async () => {
        const shops = (await clusterEnv(3)).map(env => new Shop(env).start());
        [a, b, c] = await Promise.all(shops);
    });
    after(async () => {
        for (const shop of [a, b, c]) await shop.stop();
    });

    test('logged in on A, known on B from the cache, logged out on A, refused on B at once', async () => {
        await inAndOut(a, b);
        await inAndOut(b, c);
    });

    test('a role change reaches every replica', () => roleChange(a, b, 'clerk@huddle'));

    test('a role change reaches every replica under traffic', async () => {
        const { look, change } = await clerk(a, 'busy@huddle');
        const token = await a.logIn('busy@huddle');
        for (let i = 0; i < 5; i++) {
            const requests = traffic(4, n => look([b, c][n % 2], token));
            await change(a, false);
            await requests.stop();
            // What had read the old role before the COMMIT is cleared at the latest a second after it.
            await pause(1100);
            for (const shop of [a, b, c]) assert.equal(await look(shop, token), undefined);
            await change(a, true);
        }
    });

    test('sessions that come back after a log-out', async t => {
        const back = await logOutRace(a, b, db, logOuts);
        t.diagnostic(`${back} of ${logOuts} came back`);
        assert.equal(back, 0);
        await inAndOut(a, b);
    });

    test('the node of one replica is killed under traffic: no request fails', async t => {
        const shops = [a, b, c];
        const tokens = await db.sessions(30);
        const [node] = b.children();
        const failed: string[] = [];
        let asked = 0;
        let slowest = 0;
        const requests = traffic(6, async i => {
            const begun = performance.now();
            try {
                const who = await shops[i % 3].me(tokens[asked++ % tokens.length]);
                if (who !== 'superadmin') failed.push(`refused on replica ${(i % 3) + 1}`);
            } catch (e) {
                failed.push(String(e));
            }
            slowest = Math.max(slowest, performance.now() - begun);
        });
        await pause(1000);
        process.kill(node, 'SIGKILL');
        await pause(4000);
        await until('the node is started again', () => b.children().some(pid => pid !== node));
        await pause(2000);
        await requests.stop();
        t.diagnostic(`${asked} requests, ${failed.length} failed, the slowest took ${slowest.toFixed()} ms`);
        assert.deepEqual(failed, []);
        assert.ok(asked > 300);
        assert.ok(b.log.some(line => line.includes('the node ended (by SIGKILL)')));
        await until('the cache works as before', () => inAndOut(a, b).then(() => true, () => false));
    });

    test('a replica that ends takes its node along, and the others go on', async () => {
        const token = await c.logIn();
        const [node] = c.children();
        await c.stop();
        assert.throws(() => process.kill(node, 0), { code: 'ESRCH' });
        await db.invalidate(token);
        for (const shop of [a, b]) assert.equal(await shop.me(token), 'superadmin');
        const told = [a, b, c].flatMap(shop => shop.log).join('\n');
        assert.ok(!told.includes(token), 'the log holds a token');
    });
});
