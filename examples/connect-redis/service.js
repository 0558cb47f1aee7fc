// One replica of a login service: express, express-session, connect-redis. Nothing in it knows huddle: it has a Redis client, and
// the Redis port is that of the huddle node beside it.
import express from 'express';
import session from 'express-session';
import { RedisStore } from 'connect-redis';
import { createClient } from 'redis';

const { PORT, REDIS_URL, SESSION_SECRET } = process.env;
const client = createClient({ url: REDIS_URL, socket: { reconnectStrategy: 50 }, commandOptions: { timeout: 10_000 } });
client.on('error', (err) => console.error('redis:', err.message)); // it connects again by itself
await client.connect();

const app = express();
app.use(
  session({
    store: new RedisStore({ client, prefix: 'sess:', ttl: 1800 }),
    secret: SESSION_SECRET,
    name: 'sid',
    resave: false,
    saveUninitialized: false,
    cookie: { httpOnly: true, sameSite: 'lax', secure: false }, // secure: true behind TLS
  }),
);
app.use(express.json()); // after the session: a body may come long after the session was read

// sessionsOf names the set of a user's sessions. Sessions that have ended by themselves leave it by themselves.
const sessionsOf = (user) => `user-sessions:${user}`;

const promise = (f) => new Promise((resolve, reject) => f((err) => (err ? reject(err) : resolve())));

const known = (req, res, next) => (req.session.user ? next() : res.status(401).json({ error: 'log in first' }));

app.post('/login', async (req, res) => {
  await promise((done) => req.session.regenerate(done)); // a new id: the one from before the login must not become valid
  Object.assign(req.session, { user: String(req.body.user), basket: [] });
  await promise((done) => req.session.save(done)); // first the session, then its place in the set
  await client.sAdd(sessionsOf(req.session.user), `sess:${req.sessionID}`);
  res.json({ user: req.session.user });
});

app.get('/me', known, (req, res) => {
  res.json({ user: req.session.user, basket: req.session.basket });
});

app.post('/basket', known, (req, res) => {
  req.session.basket.push(String(req.body.item));
  res.json({ basket: req.session.basket }); // express-session saves the session before the answer ends
});

app.post('/logout', known, async (req, res) => {
  const { user } = req.session;
  await promise((done) => req.session.destroy(done));
  await client.sRem(sessionsOf(user), `sess:${req.sessionID}`);
  res.json({});
});

// Log out everywhere. When this has answered, no replica knows any of these sessions.
app.post('/logout-everywhere', known, async (req, res) => {
  const set = sessionsOf(req.session.user);
  const sessions = await client.sMembers(set);
  if (sessions.length > 0) {
    await client.del(sessions);
    await client.sRem(set, sessions);
  }
  await promise((done) => req.session.destroy(done));
  res.json({ sessions: sessions.length });
});

app.get('/healthz', (req, res) => res.json({ ready: client.isReady }));

app.use((err, req, res, next) => {
  console.error(err.message);
  if (res.headersSent) return next(err);
  res.status(500).json({ error: 'try again' });
});

const server = app.listen(Number(PORT), '127.0.0.1');
process.on('SIGTERM', () => {
  server.close();
  server.closeAllConnections();
  client.destroy();
});
