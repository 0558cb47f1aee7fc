// node-redis, with RESP2 and RESP3, against a cluster of three real nodes.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { createClient, RESP_TYPES, WatchError } from 'redis';
import { Cluster, poll } from '../huddle.js';

describe('node-redis', () => {
  let cluster;
  before(async () => (cluster = await Cluster.start()));
  after(() => cluster.close());

  for (const proto of [2, 3]) {
    describe(`RESP${proto}`, () => {
      let clients, a, b, c;
      before(async () => {
        clients = cluster.nodes.map((n) => createClient({ RESP: proto, socket: { port: n.resp, reconnectStrategy: 20 } }));
        for (const client of clients) client.on('error', () => {}); // a command that fails says so itself
        await Promise.all(clients.map((client) => client.connect()));
        [a, b, c] = clients;
      });
      after(() => Promise.all(clients.map((client) => client.close())));

      test('a session is one on all nodes', async () => {
        assert.equal((await a.hello()).proto, proto);
        assert.equal(await a.set('session:1', '{"user":"anna"}', { expiration: { type: 'EX', value: 100 } }), 'OK');
        assert.equal(await b.get('session:1'), '{"user":"anna"}');
        assert.equal(await c.get('session:1'), '{"user":"anna"}');
        const ttl = await b.ttl('session:1');
        assert.ok(ttl > 95 && ttl <= 100, `a TTL of ${ttl}`);
        assert.equal(Number(await c.expire('session:1', 1000)), 1);
        assert.ok((await a.ttl('session:1')) > 995);
        assert.equal(await c.del('session:1'), 1);
        assert.equal(await a.get('session:1'), null);
        assert.equal(await b.exists('session:1'), 0);
        assert.equal(await a.ttl('session:1'), -2);
      });

      test('options of SET', async () => {
        assert.equal(await a.set('o', '1', { condition: 'XX' }), null);
        assert.equal(await a.set('o', '1', { condition: 'NX', expiration: { type: 'PX', value: 60_000 } }), 'OK');
        assert.equal(await b.set('o', '2', { condition: 'NX' }), null);
        assert.equal(await b.set('o', '2', { expiration: 'KEEPTTL', GET: true }), '1');
        assert.ok((await c.pTTL('o')) > 50_000);
        assert.equal(await c.getDel('o'), '2');
        assert.equal(await a.get('o'), null);
      });

      test('bytes are kept as they are', async () => {
        const value = Buffer.from([0, 255, 13, 10, 36, 42, 0]);
        await a.set('bytes', value);
        assert.deepEqual(await b.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer }).get('bytes'), value);
        await c.del('bytes');
      });

      test('MULTI and a pipeline', async () => {
        const replies = await a.multi().set('m', '1').incr('m').sAdd('tag:m', 'm').get('m').sMembers('tag:m').exec();
        assert.deepEqual(replies, ['OK', 2, 1, '2', ['m']]);
        assert.equal(await b.get('m'), '2');
        const sets = await Promise.all(Array.from({ length: 100 }, (_, i) => a.set(`p:${i % 10}`, String(i))));
        assert.ok(sets.every((v) => v === 'OK'));
        const keys = Array.from({ length: 10 }, (_, i) => `p:${i}`);
        assert.deepEqual(await b.mGet(keys), keys.map((_, i) => String(90 + i)));
        assert.equal(await c.del([...keys, 'm', 'tag:m']), 12);
      });

      test('SCAN finds every key, from every node', async () => {
        const keys = Array.from({ length: 100 }, (_, i) => `scan:${i}`);
        await a.mSet(Object.fromEntries(keys.map((k) => [k, 'x'])));
        for (const client of clients) {
          const found = new Set();
          for await (const batch of client.scanIterator({ MATCH: 'scan:*', COUNT: 10 })) batch.forEach((k) => found.add(k));
          assert.deepEqual([...found].sort(), [...keys].sort());
        }
        await c.del(keys);
      });

      test('sets', async () => {
        assert.equal(await a.sAdd('tag', ['s1', 's2']), 2);
        assert.deepEqual((await b.sMembers('tag')).sort(), ['s1', 's2']);
        assert.deepEqual((await b.smIsMember('tag', ['s1', 'no'])).map(Number), [1, 0]);
        const found = [];
        for await (const batch of c.sScanIterator('tag')) found.push(...batch);
        assert.deepEqual(found.sort(), ['s1', 's2']);
        assert.equal(await c.type('tag'), 'set');
        assert.equal(await c.del('tag'), 1);
      });

      test('errors have their texts', async () => {
        await assert.rejects(a.sendCommand(['NOSUCH', 'x']), { message: "ERR unknown command 'NOSUCH', with args beginning with: 'x' " });
        await assert.rejects(a.sendCommand(['GET']), { message: "ERR wrong number of arguments for 'get' command" });
        await a.sAdd('aset', 'x');
        await assert.rejects(b.get('aset'), { message: 'WRONGTYPE Operation against a key holding the wrong kind of value' });
        await c.del('aset');
        await assert.rejects(a.sendCommand(['SELECT', '1']), { message: /^ERR DB index is out of range/ });
        assert.equal(await a.ping(), 'PONG'); // the connection is still there
        await assert.rejects(a.get('n'), { message: /^ERR huddle: not carried out, because SELECT 1 was refused/ });
        assert.equal(await a.sendCommand(['SELECT', '0']), 'OK');
      });

      test('a lost update is noticed', async () => {
        await a.set('n', '1');
        await a.watch('n');
        await b.set('n', '2');
        await assert.rejects(a.multi().set('n', '3').exec(), WatchError);
        assert.equal(await c.get('n'), '2');
        await c.del('n');
      });

      test('it comes back after its node was restarted', async () => {
        await a.set('kept', 'yes');
        await cluster.nodes[0].end('SIGTERM');
        await poll('the rest of the cluster answers', async () => (await b.get('kept')) === 'yes' && (await c.get('kept')) === 'yes');
        cluster.nodes[0].start();
        await cluster.nodes[0].ready();
        assert.equal(await a.get('kept'), 'yes');
        assert.equal(await a.del('kept'), 1);
        assert.equal(await c.get('kept'), null);
      });
    });
  }
});
