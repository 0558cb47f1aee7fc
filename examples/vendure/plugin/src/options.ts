import { hostname } from 'node:os';
import { randomBytes } from 'node:crypto';

/**
 * How the shop runs its node. All of it is optional: `{}` is a cluster of one on loopback.
 *
 * What stands for a flag of `huddle serve` and is left out is read by the binary from the environment (`HUDDLE_LISTEN`,
 * `HUDDLE_JOIN`, `HUDDLE_KEY_FILE`, ...), so that replicas and workers can share one configuration in code.
 */
export interface HuddleOptions {
    /** The binary: a path, or a name to be found in PATH. Default: `HUDDLE_BINARY` of the environment, else `huddle`. */
    binary?: string;
    /**
     * `--name`: the name of the node, unlike any other's, the same after a restart. Default: host name and port; with port 0 a
     * random name that lasts as long as the process.
     */
    name?: string;
    /** `--listen`: `host:port` for the other nodes: TCP, and UDP where there is no key. Default `127.0.0.1:7400`. Processes on one host need one each. */
    listen?: string;
    /** `--advertise`: where the other nodes reach this one. Default: the address listened on. */
    advertise?: string;
    /** `--join`: where the other replicas are: `host:port`, `dns:NAME:PORT` or `srv:NAME`. Default: none. */
    join?: string | string[];
    /** `--expect`: on a cold start wait for so many nodes before founding a cluster. Default 0. */
    expect?: number;
    /** `--cluster`: the label of the cluster. Default `huddle`. */
    cluster?: string;
    /** `--key-file`: the key that secures the traffic between nodes; needed outside loopback. Default: none. */
    keyFile?: string;
    /** `--admin`: status page, metrics and changes over HTTP, `host:port`; it cannot be off. Default `127.0.0.1:0`: any port, it is in the log. */
    admin?: string;
    /** `--admin-token-file`. Default: a random token, known to this process alone. */
    adminTokenFile?: string;
    /** More flags of `huddle serve`, such as `['--max-memory', '64MB']`. Not those that stand above. Default: none. */
    args?: string[];

    /** What the names of keys and tags begin with; shops that share a cluster need one each. Default `vendure`. */
    namespace?: string;
    /** Milliseconds that any call may take from the shop. What is not done by then goes on by itself. Default 50. */
    timeout?: number;
    /** Longest life of a session in the cache in milliseconds. It also ends with the session itself. Default 24 hours. */
    sessionTtl?: number;
    /** Milliseconds that the shop's start waits for the node to be in sync; then it goes on without. Default 5000. */
    startTimeout?: number;
    /** `--leave-timeout` in milliseconds: the bound of the hand-over when the shop ends. Default 25000. */
    leaveTimeout?: number;
}

/** Options with every default filled in, and the flags of the node. */
export interface Settings {
    binary: string;
    flags: string[];
    /** The environment of the node. */
    env: NodeJS.ProcessEnv;
    adminTokenFile: string | undefined;
    namespace: string;
    timeout: number;
    sessionTtl: number;
    startTimeout: number;
    leaveTimeout: number;
}

/** Flags that would keep the plugin from its node. */
const chosen = [
    '--resp',
    '--resp-password-file',
    '--resp-tls-cert',
    '--resp-tls-key',
    '--admin',
    '--admin-token-file',
    '--delete',
    '--when-unsure',
    '--log-format',
    '--log-level',
];

/** What the node is not to find in its environment: the first is no flag, the others are for other clients than the plugin. */
const notForTheNode = ['HUDDLE_BINARY', 'HUDDLE_RESP_PASSWORD_FILE', 'HUDDLE_RESP_TLS_CERT', 'HUDDLE_RESP_TLS_KEY'];

/** Fills in the defaults. It throws on what cannot work. A variable of huddle's that is empty counts as none. */
export function settings(options: HuddleOptions, env: NodeJS.ProcessEnv = process.env): Settings {
    const join = [options.join ?? []].flat();
    const flags = ['--when-unsure', 'miss', '--delete', 'revoke', '--log-format', 'json'];
    const leaveTimeout = positive('leaveTimeout', options.leaveTimeout, 25_000);
    const admin = options.admin ?? (env.HUDDLE_ADMIN || '127.0.0.1:0');
    if (admin === '' || admin === 'off') throw new Error('huddle: admin cannot be off: the plugin makes its changes there');
    const give = (flag: string, value: string | number | undefined) => {
        if (value !== undefined) flags.push(flag, String(value));
    };
    give('--name', options.name ?? (env.HUDDLE_NAME || nameWithoutPort(options.listen ?? env.HUDDLE_LISTEN)));
    give('--listen', options.listen);
    give('--advertise', options.advertise);
    give('--join', join.length > 0 ? join.join(',') : undefined);
    give('--expect', options.expect);
    give('--cluster', options.cluster);
    give('--key-file', options.keyFile);
    give('--admin', admin);
    give('--log-level', env.HUDDLE_LOG_LEVEL === 'debug' ? 'debug' : 'info'); // the plugin learns from the log where its node is
    give('--leave-timeout', `${leaveTimeout}ms`);
    for (const arg of options.args ?? []) {
        const flag = arg.split('=')[0];
        if (chosen.includes(flag)) throw new Error(`huddle: ${flag} is chosen by the plugin and cannot be given in args`);
    }
    flags.push(...(options.args ?? []));
    return {
        binary: options.binary ?? (env.HUDDLE_BINARY || 'huddle'),
        flags,
        env: environment(env),
        adminTokenFile: options.adminTokenFile ?? (env.HUDDLE_ADMIN_TOKEN_FILE || undefined),
        namespace: options.namespace ?? 'vendure',
        timeout: positive('timeout', options.timeout, 50),
        sessionTtl: positive('sessionTtl', options.sessionTtl, 24 * 3600 * 1000),
        startTimeout: positive('startTimeout', options.startTimeout, 5000),
        leaveTimeout,
    };
}

function environment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
    const kept = ([name, value]: [string, string | undefined]) => !notForTheNode.includes(name) && (value !== '' || !name.startsWith('HUDDLE_'));
    return Object.fromEntries(Object.entries(env).filter(kept));
}

function positive(name: string, value: number | undefined, otherwise: number): number {
    if (value === undefined) return otherwise;
    if (!(value > 0) || !Number.isFinite(value)) {
        throw new Error(`huddle: ${name} is ${value}, not a positive number of milliseconds`);
    }
    return value;
}

/** A node keeps its name over a restart. With a port of the system's choice its default name would change. */
function nameWithoutPort(listen: string | undefined): string | undefined {
    return listen?.endsWith(':0') ? `${hostname()}-${randomBytes(4).toString('hex')}` : undefined;
}
