import { CachedSession, Logger, SessionCacheStrategy, VendurePlugin } from '@vendure/core';
import { Redis, RedisOptions } from 'ioredis';

const loggerCtx = 'RedisSessionCache';
const ttlSeconds = 24 * 3600;

/** A session cache over ioredis, with the shape of the example in Vendure's manual: keys, commands, and a clear() that does nothing. */
export class RedisSessionCacheStrategy implements SessionCacheStrategy {
    private client!: Redis;

    constructor(private readonly options: RedisSessionCacheOptions) {}

    init(): void {
        this.client = new Redis(this.options.redisOptions);
        this.client.on('error', (e: Error) => Logger.error(e.message, loggerCtx));
    }

    async destroy(): Promise<void> {
        await this.client.quit();
    }

    async get(sessionToken: string): Promise<CachedSession | undefined> {
        try {
            const text = await this.client.get(this.key(sessionToken));
            return text === null ? undefined : (JSON.parse(text) as CachedSession);
        } catch (e) {
            Logger.error(`Could not get a session: ${(e as Error).message}`, loggerCtx);
            return undefined;
        }
    }

    async set(session: CachedSession): Promise<void> {
        try {
            await this.client.set(this.key(session.token), JSON.stringify(session), 'EX', ttlSeconds);
        } catch (e) {
            // A session that was deleted for good is refused (REVOKED): that is what --delete=revoke is for.
            Logger.verbose(`Could not set a session: ${(e as Error).message}`, loggerCtx);
        }
    }

    async delete(sessionToken: string): Promise<void> {
        try {
            await this.client.del(this.key(sessionToken));
        } catch (e) {
            Logger.error(`Could not delete a session: ${(e as Error).message}`, loggerCtx);
        }
    }

    clear(): void {
        // Redis cannot tell the sessions from other keys without walking over all of them.
    }

    private key(sessionToken: string): string {
        return `${this.options.namespace ?? 'vendure-session-cache'}:${sessionToken}`;
    }
}

export interface RedisSessionCacheOptions {
    redisOptions: RedisOptions;
    namespace?: string;
}

@VendurePlugin({
    configuration: config => {
        config.authOptions.sessionCacheStrategy = new RedisSessionCacheStrategy(RedisSessionCachePlugin.options);
        return config;
    },
    compatibility: '^3.1.0',
})
export class RedisSessionCachePlugin {
    static options: RedisSessionCacheOptions;

    static init(options: RedisSessionCacheOptions): typeof RedisSessionCachePlugin {
        this.options = options;
        return RedisSessionCachePlugin;
    }
}
