import { Inject, Injectable, OnApplicationBootstrap } from '@nestjs/common';
import {
    ChannelEvent,
    EventBus,
    ID,
    Logger,
    PluginCommonModule,
    RequestContext,
    RoleEvent,
    SessionService,
    Type,
    User,
    VendurePlugin,
} from '@vendure/core';
import { HuddleCacheStrategy } from './cache-strategy';
import { Huddle } from './huddle';
import { Log } from './log';
import { HuddleOptions } from './options';
import { HuddleSessionCacheStrategy } from './session-cache-strategy';

const loggerCtx = 'Huddle';
const HUDDLE = Symbol('HUDDLE');

const vendureLog: Log = {
    error: message => Logger.error(message, loggerCtx),
    warn: message => Logger.warn(message, loggerCtx),
    info: message => Logger.info(message, loggerCtx),
    debug: message => Logger.debug(message, loggerCtx),
};

/** How long after a role or channel has changed the sessions are cleared once more, in milliseconds. */
const onceMore = 1000;

/** What the shop's own code may ask of the cache. */
@Injectable()
export class HuddleService implements OnApplicationBootstrap {
    constructor(
        @Inject(HUDDLE) private readonly huddle: Huddle,
        private readonly eventBus: EventBus,
        private readonly sessionService: SessionService,
    ) {}

    /**
     * Vendure clears the session cache inside the transaction that changes a role or channel. Until that commits, a request on any
     * replica can read the old permissions from the database and cache them anew. So it is cleared again when the transaction is
     * over, and once more a little later for the requests that had read just before.
     */
    onApplicationBootstrap(): void {
        this.eventBus
            .filter(event => event instanceof RoleEvent || event instanceof ChannelEvent)
            .subscribe(() => {
                void this.clear();
                setTimeout(() => void this.clear(), onceMore).unref();
            });
    }

    /** Ends every session of a user in the database and in the cache of every replica. */
    async logOutEverywhere(ctx: RequestContext, user: User): Promise<void> {
        await this.sessionService.deleteSessionsByUser(ctx, user);
        await this.revokeUser(user.id);
    }

    /**
     * Removes every session of a user from the cache of every replica, so that the next request of each is judged by the database.
     * It does not change the database.
     */
    revokeUser(userId: ID): Promise<void> {
        return this.huddle.revokeUser(userId);
    }

    /** Removes all sessions from the cache of every replica. Nobody is logged out by that. */
    clear(): Promise<void> {
        return this.huddle.clearSessions();
    }

    /** What the node is doing, for health checks and tests. */
    status(): { pid: number | undefined; adminUrl: string | undefined; pendingChanges: number } {
        return { pid: this.huddle.pid, adminUrl: this.huddle.adminUrl, pendingChanges: this.huddle.pending };
    }
}

/**
 * Keeps the shop's sessions, and unless told otherwise the items of its CacheService, in a huddle node that the shop starts, watches
 * and ends. The nodes of all replicas form a cluster. There is no other server.
 *
 * ```ts
 * plugins: [HuddlePlugin.init({ listen: '10.0.0.5:7400', join: 'dns:shop.internal:7400', keyFile: '/etc/shop/cluster.key' })]
 * ```
 */
@VendurePlugin({
    imports: [PluginCommonModule],
    providers: [{ provide: HUDDLE, useFactory: () => HuddlePlugin.huddle }, HuddleService],
    exports: [HuddleService],
    configuration: config => {
        const huddle = new Huddle(HuddlePlugin.options, vendureLog);
        HuddlePlugin.huddle = huddle;
        config.authOptions.sessionCacheStrategy = new HuddleSessionCacheStrategy(huddle);
        if (HuddlePlugin.options.cacheService !== false) config.systemOptions.cacheStrategy = new HuddleCacheStrategy(huddle);
        return config;
    },
    compatibility: '^3.2.0',
})
export class HuddlePlugin {
    private static options: HuddlePluginOptions = {};
    private static huddle: Huddle;

    /** Sets the options of the node. */
    static init(options: HuddlePluginOptions = {}): Type<HuddlePlugin> {
        this.options = options;
        return HuddlePlugin;
    }
}

/** Options of the plugin: those of the node, and which of Vendure's caches it serves. */
export interface HuddlePluginOptions extends HuddleOptions {
    /** Whether the items of the CacheService are kept in huddle too. Default true. */
    cacheService?: boolean;
}
