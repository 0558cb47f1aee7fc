// ioredis, in the version that speaks RESP2 and in the one that opens with HELLO 3, against a cluster of three real nodes.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import Redis6 from 'ioredis';
import Redis5 from 'ioredis5';
import { Cluster, poll } from '../huddle.js';

const versions = [
  ['ioredis 5, RESP2', Redis5.Redis ?? Redis5, 2, {}],
  ['ioredis 6, RESP3', Redis6.Redis ?? Redis6, 3, {}],
  ['ioredis 6, RESP3 with its own types', Redis6.Redis ?? Redis6, 3, { replyMapping: 'resp3' }],
];

describe('ioredis', () => {
  let cluster;
  before(async () => (cluster = await Cluster.start()));
  after(() => cluster.close());

  for (const [name, Redis, proto, options] of versions) {
    describe(name, () => {
      let clients, a, b, c;
      before(() => {
        clients = cluster.nodes.map((n) => new Redis({ port: n.resp, ...options }));
        for (const client of clients) client.on('error', () => {}); // a command that fails says so itself
        [a, b, c] = clients;
      });
      after(() => Promise.all(clients.map((client) => client.quit())));

      test('speaks the protocol it should', async () => {
        const hello = await a.call('HELLO');
        const fields = Array.isArray(hello) ? Object.fromEntries(hello.flatMap((v, i) => (i % 2 ? [] : [[v, hello[i + 1]]]))) : hello;
        assert.equal(fields.proto, proto);
        assert.match(String(await a.client('INFO')), /^id=\d+ /);
        assert.match(String(await a.info()), /huddle_members:3/);
      });

      test('a session is one on all nodes', async () => {
        assert.equal(await a.set('session:1', '{"user":"anna"}', 'EX', 100), 'OK');
        assert.equal(await b.get('session:1'), '{"user":"anna"}');
        assert.equal(await c.get('session:1'), '{"user":"anna"}');
        const ttl = await b.ttl('session:1');
        assert.ok(ttl > 95 && ttl <= 100, `a TTL of ${ttl}`);
        assert.equal(await b.set('session:1', 'two', 'KEEPTTL'), 'OK');
        assert.equal(await c.get('session:1'), 'two');
        assert.equal(await c.del('session:1'), 1);
        assert.equal(await a.get('session:1'), null);
        assert.equal(await b.exists('session:1'), 0);
        assert.equal(await a.ttl('session:1'), -2);
      });

      test('an entry ends with its TTL', async () => {
        await a.set('short', 'x', 'PX', 80);
        assert.equal(await b.get('short'), 'x');
        await poll('the entry has ended on all nodes', async () => {
          const got = await Promise.all(clients.map((client) => client.get('short')));
          return got.every((v) => v === null);
        });
        await a.set('shortened', 'x');
        assert.equal(await b.ttl('shortened'), -1);
        assert.equal(await c.expire('shortened', 50), 1);
        assert.ok((await a.pttl('shortened')) <= 50_000);
        assert.equal(await a.persist('shortened'), 1);
        assert.equal(await b.ttl('shortened'), -1);
        await b.del('shortened');
      });

      test('bytes are kept as they are', async () => {
        const value = Buffer.from([0, 255, 13, 10, 36, 42, 0]);
        await a.set('bytes', value);
        assert.deepEqual(await b.getBuffer('bytes'), value);
        await a.del('bytes');
      });

      test('MULTI answers with all its replies', async () => {
        const replies = await a.multi().set('m', '1').incr('m').sadd('tag:m', 'm').expire('m', 60).get('m').smembers('tag:m').exec();
        for (const [err] of replies) assert.equal(err, null);
        const values = replies.map(([, v]) => v);
        assert.deepEqual(values.slice(0, 5), ['OK', 2, 1, 1, '2']);
        assert.deepEqual([...values[5]], ['m']);
        assert.equal(await b.get('m'), '2');
        await c.del('m', 'tag:m');
      });

      test('a broken MULTI is discarded', async () => {
        await assert.rejects(a.multi().set('never', '1').call('nosuch').exec(), /EXECABORT/);
        assert.equal(await b.get('never'), null);
      });

      test('a pipeline keeps its order', async () => {
        const p = a.pipeline();
        for (let i = 0; i < 200; i++) p.set(`p:${i % 50}`, i).get(`p:${i % 50}`);
        const replies = await p.exec();
        replies.forEach(([err, v], i) => {
          assert.equal(err, null);
          assert.equal(v, i % 2 ? String((i - 1) / 2) : 'OK');
        });
        const keys = Array.from({ length: 50 }, (_, i) => `p:${i}`);
        assert.deepEqual(await b.mget(keys), keys.map((_, i) => String(150 + i)));
        assert.equal(await c.del(keys), 50);
      });

      test('SCAN finds every key, from every node', async () => {
        const keys = Array.from({ length: 100 }, (_, i) => `scan:${i}`);
        await a.mset(Object.fromEntries(keys.map((k) => [k, 'x'])));
        for (const client of clients) {
          const found = new Set();
          for await (const batch of client.scanStream({ match: 'scan:*', count: 10 })) batch.forEach((k) => found.add(k));
          assert.deepEqual([...found].sort(), [...keys].sort());
        }
        assert.equal((await b.keys('scan:?')).length, 10);
        await c.del(keys);
      });

      test('a tag set is one on all nodes', async () => {
        assert.equal(await a.sadd('tag', 's1', 's2'), 2);
        assert.equal(await b.sadd('tag', 's2', 's3'), 1);
        assert.deepEqual([...(await c.smembers('tag'))].sort(), ['s1', 's2', 's3']);
        assert.equal(await c.srem('tag', 's2'), 1);
        assert.equal(await a.sismember('tag', 's2'), 0);
        assert.equal(await a.del('tag'), 1);
        assert.equal(await b.scard('tag'), 0);
      });

      test('errors have their texts', async () => {
        await assert.rejects(a.call('NOSUCH', 'x'), /^\w*Error: ERR unknown command 'NOSUCH', with args beginning with: 'x' $/);
        await assert.rejects(a.call('GET'), /ERR wrong number of arguments for 'get' command/);
        await assert.rejects(a.call('DEL'), /ERR wrong number of arguments for 'del' command/);
        await assert.rejects(a.set('k', 'v', 'EX', 0), /ERR invalid expire time in 'set' command/);
        await a.sadd('aset', 'x');
        await assert.rejects(b.get('aset'), /WRONGTYPE Operation against a key holding the wrong kind of value/);
        await c.del('aset');
        assert.equal(await a.ping(), 'PONG'); // the connection is still there
      });

      test('a lost update is noticed', async () => {
        await a.set('n', '1');
        await a.watch('n');
        await b.set('n', '2');
        assert.equal(await a.multi().set('n', '3').exec(), null);
        assert.equal(await c.get('n'), '2');
        await c.del('n');
      });

      test('it comes back after its node was killed', async () => {
        await a.set('kept', 'yes');
        await cluster.nodes[0].end('SIGKILL');
        await poll('the rest of the cluster answers', async () => (await b.get('kept')) === 'yes' && (await c.get('kept')) === 'yes');
        cluster.nodes[0].start();
        await cluster.nodes[0].ready();
        assert.equal(await a.get('kept'), 'yes');
        assert.equal(await a.del('kept'), 1);
        assert.equal(await c.get('kept'), null);
      });

      test('FLUSHDB clears the cluster', async () => {
        await a.set('x', '1');
        assert.equal(await b.flushdb(), 'OK');
        assert.equal(await c.get('x'), null);
        assert.equal(await a.dbsize(), 0);
      });
    });
  }
});

describe('ioredis with a password', () => {
  let cluster;
  before(async () => (cluster = await Cluster.start({ nodes: 1, args: ['--resp-password-file', new URL('password.txt', import.meta.url).pathname] })));
  after(() => cluster.close());

  for (const [name, Redis, , options] of versions) {
    test(name, async () => {
      const port = cluster.nodes[0].resp;
      const client = new Redis({ port, password: 'correct horse', ...options });
      assert.equal(await client.set('k', 'v'), 'OK');
      await client.quit();
      for (const [password, text] of [['wrong', /WRONGPASS/], [undefined, /NOAUTH/]]) {
        const stranger = new Redis({ port, password, maxRetriesPerRequest: 0, retryStrategy: null, ...options });
        const said = [];
        stranger.on('error', (err) => said.push(String(err)));
        await stranger.get('k').catch((err) => said.push(String(err)));
        assert.match(said.join('\n'), text);
        stranger.disconnect();
      }
    });
  }
});
