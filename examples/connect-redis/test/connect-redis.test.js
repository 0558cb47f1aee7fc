// connect-redis, called as express-session calls a store, with node-redis against a cluster of three real nodes.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { RedisStore } from 'connect-redis';
import { createClient } from 'redis';
import { Cluster, poll } from '../huddle.js';

describe('connect-redis', () => {
  let cluster, clients, stores;
  before(async () => {
    cluster = await Cluster.start();
    clients = cluster.nodes.map((n) => createClient({ socket: { port: n.resp } }));
    await Promise.all(clients.map((client) => client.connect()));
    stores = clients.map((client) => {
      const store = new RedisStore({ client, ttl: 60, scanCount: 10 });
      return Object.fromEntries(
        ['get', 'set', 'touch', 'destroy', 'all', 'ids', 'length', 'clear'].map((m) => [m, promisify(store[m].bind(store))]),
      );
    });
  });
  after(async () => {
    await Promise.all(clients.map((client) => client.close()));
    await cluster.close();
  });
  const session = (user) => ({ user, cookie: { originalMaxAge: null, httpOnly: true, path: '/' } });

  test('a session written on one node is read, touched and destroyed on the others', async () => {
    const [a, b, c] = stores;
    assert.equal(await a.get('one'), null);
    await a.set('one', session('anna'));
    assert.equal((await b.get('one')).user, 'anna');
    assert.equal((await c.get('one')).user, 'anna');
    await clients[1].expire('sess:one', 5);
    await c.touch('one', session('anna'));
    assert.ok((await clients[0].ttl('sess:one')) > 55);
    await c.destroy('one');
    for (const store of stores) assert.equal(await store.get('one'), null);
  });

  test('a session ends when its cookie does', async () => {
    const [a, b] = stores;
    const ends = { ...session('bert'), cookie: { expires: new Date(Date.now() + 1000) } };
    await a.set('two', ends);
    assert.equal((await b.get('two')).user, 'bert');
    await poll('the session has ended', async () => (await b.get('two')) === null && (await a.get('two')) === null);
    await a.set('two', { ...ends, cookie: { expires: new Date(Date.now() - 1000) } }); // already over
    assert.equal(await b.get('two'), null);
  });

  test('all, ids, length and clear see the whole cluster', async () => {
    const ids = Array.from({ length: 30 }, (_, i) => `s${i}`);
    await Promise.all(ids.map((id, i) => stores[i % 3].set(id, session(id))));
    for (const store of stores) {
      assert.equal(await store.length(), 30);
      assert.deepEqual((await store.ids()).sort(), [...ids].sort());
      assert.deepEqual((await store.all()).map((s) => s.user).sort(), [...ids].sort());
    }
    await stores[1].clear();
    for (const store of stores) assert.equal(await store.length(), 0);
  });
});
