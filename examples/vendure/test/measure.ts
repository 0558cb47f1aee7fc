// Times the look-up of a session with each way of keeping sessions, counts those that come back after a log-out, and
// those that keep a permission that was taken away. Prints Markdown.
import { logOutRace, roleRace } from './races';
import { clusterEnv, Database, freePorts, Shop, Sidecar, sidecars } from './support';

const lookUps = 5000;
const requests = 1500;
const logOuts = 150;
const roleChanges = 20;

/** One way of keeping sessions: the environment of a shop's replicas, and what to end afterwards. */
interface Way {
    name: string;
    env: (replicas: number) => Promise<{ envs: Array<Record<string, string>>; end: () => Promise<void> }>;
}

const redis = (name: string, cache: string): Way => ({
    name,
    env: async n => ({ envs: Array(n).fill({ SHOP_CACHE: cache, SHOP_REDIS: process.env.SHOP_REDIS! }), end: async () => undefined }),
});

const ports = (name: string, cache: string, how: string): Way => ({
    name,
    env: async n => {
        const nodes = await sidecars(3);
        await Promise.all(nodes.map(node => node.start('--delete', how)));
        return {
            envs: nodes.slice(0, n).map(node => ({ SHOP_CACHE: cache, SHOP_REDIS: node.redis })),
            end: async () => {
                for (const node of nodes) await node.stop();
            },
        };
    },
});

const plugin: Way = {
    name: '`@huddle/vendure-plugin`',
    env: async n => {
        const envs = await clusterEnv(3);
        const resp = await freePorts(3 - n);
        const join = envs[0].HUDDLE_JOIN.split(',');
        const nodes = envs.slice(n).map((env, i) => new Sidecar(env.HUDDLE_NAME, env.HUDDLE_LISTEN, join, resp[i]));
        const started = Promise.all(nodes.map(node => node.start()));
        return {
            envs: envs.slice(0, n),
            end: async () => {
                await started;
                for (const node of nodes) await node.stop();
            },
        };
    },
};

/** Percentiles in milliseconds. */
function percentiles(times: number[]): string {
    const sorted = [...times].sort((a, b) => a - b);
    const at = (q: number) => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))].toFixed(2);
    return `${at(0.5)} | ${at(0.95)} | ${at(0.99)}`;
}

async function latency(way: Way, db: Database): Promise<string> {
    const { envs, end } = await way.env(1);
    const shop = await new Shop(envs[0], './observed-shop.js').start();
    const tokens = await db.sessions(200);
    await shop.tell<number[]>({ times: tokens, n: 1000 }); // fills the cache, and warms the code up
    const inProcess = await shop.tell<number[]>({ times: tokens, n: lookUps });
    const overHttp: number[] = [];
    for (let i = 0; i < requests; i++) {
        const begun = performance.now();
        if ((await shop.me(tokens[i % tokens.length])) !== 'superadmin') throw new Error('refused');
        if (i >= requests / 3) overHttp.push(performance.now() - begun);
    }
    await shop.stop();
    await end();
    return `| ${way.name} | ${percentiles(inProcess)} | ${percentiles(overHttp)} |`;
}

async function race(way: Way, db: Database): Promise<string> {
    const { envs, end } = await way.env(2);
    const [a, b] = await Promise.all(envs.map(env => new Shop(env, './observed-shop.js').start()));
    const back = await logOutRace(a, b, db, logOuts);
    const clears = !way.name.endsWith('printed plugin');
    const stale = clears ? `${await roleRace(a, b, roleChanges)} of ${roleChanges}` : 'does not clear';
    for (const shop of [a, b]) await shop.stop();
    await end();
    return `| ${way.name} | ${back} of ${logOuts} | ${stale} |`;
}

void (async () => {
    const db = await new Database().open();
    console.log('| sessions in | look-up p50 | p95 | p99 | `me` p50 | p95 | p99 |\n|---|--:|--:|--:|--:|--:|--:|');
    for (const way of [
        { name: 'the database only', env: redis('', 'database').env },
        redis('Redis, printed plugin', 'printed'),
        redis("Redis, Vendure's plugin", 'redis-plugin'),
        ports('a huddle port, printed plugin', 'printed', 'remove'),
        ports("a huddle port, Vendure's plugin", 'redis-plugin', 'remove'),
        plugin,
    ]) {
        console.log(await latency(way, db));
    }
    console.log('\n| sessions in | came back after a log-out | kept the old role |\n|---|--:|--:|');
    for (const way of [
        redis('Redis, printed plugin', 'printed'),
        redis("Redis, Vendure's plugin", 'redis-plugin'),
        ports('a huddle port with `--delete=remove`, printed plugin', 'printed', 'remove'),
        ports("a huddle port with `--delete=remove`, Vendure's plugin", 'redis-plugin', 'remove'),
        ports('a huddle port with `--delete=revoke`, printed plugin', 'printed', 'revoke'),
        plugin,
    ]) {
        console.log(await race(way, db));
    }
    await db.close();
})();
