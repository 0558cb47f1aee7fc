import { HuddlePlugin } from '@huddle/vendure-plugin';
import { DefaultLogger, LogLevel, NoopSessionCacheStrategy, RedisCachePlugin, VendureConfig } from '@vendure/core';
import { RedisSessionCachePlugin } from './redis-session-cache';

/** Where the sessions are kept, beside the database. */
export type CacheKind = 'database' | 'printed' | 'redis-plugin' | 'huddle';

/**
 * The configuration of a replica, from the environment:
 *
 *   SHOP_PORT    where it listens, on loopback
 *   SHOP_DB      the database, postgres://USER:PASSWORD@HOST:PORT/NAME
 *   SHOP_CACHE   database, printed, redis-plugin, or huddle
 *   SHOP_REDIS   HOST:PORT of a Redis or of a huddle node, for printed and redis-plugin
 *   SHOP_SETUP   if set, the schema is created
 *   SHOP_LOG     if set, everything is logged
 *   HUDDLE_*     the node's flags, for huddle
 */
export function config(env: NodeJS.ProcessEnv): VendureConfig {
    const [redisHost, redisPort] = (env.SHOP_REDIS ?? '').split(':');
    const redisOptions = { host: redisHost, port: Number(redisPort) };
    const plugins: Record<CacheKind, NonNullable<VendureConfig['plugins']>> = {
        database: [],
        printed: [RedisSessionCachePlugin.init({ redisOptions })],
        'redis-plugin': [RedisCachePlugin.init({ redisOptions })],
        huddle: [HuddlePlugin.init()],
    };
    const cache = (env.SHOP_CACHE ?? 'huddle') as CacheKind;
    return {
        apiOptions: { hostname: '127.0.0.1', port: Number(env.SHOP_PORT ?? 3000), adminApiPath: 'admin-api', shopApiPath: 'shop-api' },
        authOptions: {
            tokenMethod: 'bearer',
            superadminCredentials: { identifier: 'superadmin', password: 'superadmin' },
            ...(cache === 'database' ? { sessionCacheStrategy: new NoopSessionCacheStrategy() } : {}),
        },
        dbConnectionOptions: { type: 'postgres', url: env.SHOP_DB, synchronize: Boolean(env.SHOP_SETUP), logging: false },
        importExportOptions: { importAssetsDir: __dirname },
        logger: new DefaultLogger({ level: env.SHOP_LOG ? LogLevel.Debug : LogLevel.Info, timestamp: true }),
        paymentOptions: { paymentMethodHandlers: [] },
        plugins: plugins[cache],
    };
}
