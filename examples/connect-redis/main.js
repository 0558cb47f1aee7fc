// Three replicas of the login service, each with a huddle node beside it, and browsers that are sent now to one, now to another.
// Says what it sees, and ends with 0 only if all of it was right.
import assert from 'node:assert/strict';
import http from 'node:http';
import { fileURLToPath } from 'node:url';
import { Cluster, Process, freePorts, poll } from './huddle.js';

// Browser keeps a cookie and goes to the replica it is told to.
class Browser {
  cookie = '';

  constructor(name) {
    this.name = name;
  }

  async call(replica, method, path, body) {
    const res = await fetch(`${replica.url}${path}`, {
      method,
      headers: { cookie: this.cookie, 'content-type': 'application/json' },
      body: body && JSON.stringify(body),
    });
    for (const c of res.headers.getSetCookie()) this.cookie = c.split(';')[0];
    return { status: res.status, body: await res.json() };
  }

  async is(replica, status) {
    const got = await this.call(replica, 'GET', '/me');
    assert.equal(got.status, status, `${this.name} on ${replica.name}: ${JSON.stringify(got)}`);
    return got.body;
  }

  async login(replica, user) {
    assert.equal((await this.call(replica, 'POST', '/login', { user })).status, 200);
  }
}

// slowly sends the head of a request and waits until the replica works on it; the function returned sends the rest.
async function slowly(browser, replica, path, body) {
  const text = JSON.stringify(body);
  const req = http.request(`${replica.url}${path}`, {
    method: 'POST',
    headers: { cookie: browser.cookie, 'content-type': 'application/json', 'content-length': text.length, expect: '100-continue' },
  });
  const ended = new Promise((resolve) => {
    req.on('response', (res) => res.resume().on('close', () => resolve(res.statusCode)));
    req.on('error', () => resolve(0));
  });
  const begun = new Promise((resolve) => req.on('continue', resolve));
  req.flushHeaders();
  await begun;
  req.write(text.slice(0, 1));
  return () => {
    req.end(text.slice(1));
    return ended;
  };
}

const say = (text) => console.log(text);
const cluster = await Cluster.start({ nodes: 3, args: ['--delete', 'revoke', '--revoke-prefix', 'sess:'] });
const ports = await freePorts(3);
const replicas = cluster.nodes.map((node, i) => {
  const env = { PORT: ports[i], REDIS_URL: `redis://127.0.0.1:${node.resp}`, SESSION_SECRET: 'only for this example' };
  const replica = new Process(`replica ${i + 1}`, process.execPath, [fileURLToPath(new URL('service.js', import.meta.url))], env);
  return Object.assign(replica, { url: `http://127.0.0.1:${ports[i]}` });
});
try {
  replicas.forEach((r) => r.start());
  await Promise.all(replicas.map((r) => r.answers(`${r.url}/healthz`)));
  const [one, two, three] = replicas;
  say(`3 replicas, each with a huddle node: ${replicas.map((r) => r.url).join(' ')}`);

  const laptop = new Browser("Anna's laptop");
  const phone = new Browser("Anna's phone");
  const bert = new Browser("Bert's browser");
  await laptop.is(one, 401);
  await laptop.login(one, 'anna');
  for (const r of replicas) assert.equal((await laptop.is(r, 200)).user, 'anna');
  say('Anna logs in at replica 1, and is known to all three');

  for (let i = 0; i < 12; i++) await laptop.call(replicas[i % 3], 'POST', '/basket', { item: `book ${i}` });
  assert.equal((await laptop.is(two, 200)).basket.length, 12);
  say('12 books put into the basket, in turn at each replica: all 12 are in it');

  await phone.login(two, 'anna');
  await bert.login(three, 'bert');
  assert.equal((await phone.call(three, 'POST', '/logout')).status, 200);
  for (const r of replicas) await phone.is(r, 401);
  await laptop.is(one, 200);
  say('her phone logs out at replica 3: no replica knows it any more, and her laptop is still logged in');

  await cluster.nodes[0].end('SIGKILL');
  const killed = Date.now();
  for (const b of [laptop, bert]) for (const r of [two, three]) await b.is(r, 200);
  say(`kill -9 of the node of replica 1: everybody is still logged in at the other two, asked within ${Date.now() - killed} ms`);
  cluster.nodes[0].start();
  await cluster.nodes[0].ready();
  await poll('replica 1 has its node again', async () => (await (await fetch(`${one.url}/healthz`)).json()).ready);
  await laptop.is(one, 200);
  say('the node is back, empty, and has fetched its share: they are known to replica 1 again');

  await phone.login(one, 'anna');
  const finish = await slowly(phone, two, '/basket', { item: 'late book' });
  const out = await laptop.call(three, 'POST', '/logout-everywhere');
  assert.deepEqual(out, { status: 200, body: { sessions: 2 } });
  for (const b of [laptop, phone]) for (const r of replicas) await b.is(r, 401);
  await bert.is(one, 200);
  say('log out everywhere at replica 3: her laptop and her phone are refused by all three, Bert is not');

  await finish(); // it has read the session before, and saves it now
  for (const r of replicas) await phone.is(r, 401);
  say('a request of her phone that was under way saves its session only now: it stays dead');

  await laptop.login(two, 'anna');
  for (const r of replicas) await laptop.is(r, 200);
  assert.deepEqual((await laptop.call(one, 'POST', '/logout-everywhere')).body, { sessions: 1 });
  await laptop.is(two, 401);
  say('she logs in again, and out again');
  say('all was right');
} catch (err) {
  console.error(err);
  for (const p of [...replicas, ...cluster.nodes]) console.error(`-- ${p.name}\n${p.log}`);
  process.exitCode = 1;
} finally {
  await Promise.all(replicas.map((r) => r.end()));
  await cluster.close();
}
