import type { JsonCompatible } from '@vendure/common/lib/shared-types';
import type { CacheStrategy, SetCacheKeyOptions } from '@vendure/core/dist/config/system/cache-strategy';
import { Huddle } from './huddle';

/**
 * Keeps the items of Vendure's CacheService in the cluster of the shop's replicas, with their time to live and their tags. Unlike a
 * session, an item that was deleted may be set again.
 *
 * No method rejects or takes longer than the `timeout` of the options.
 */
export class HuddleCacheStrategy implements CacheStrategy {
    constructor(private readonly huddle: Huddle) {}

    /** Starts the node. */
    init(): Promise<void> {
        return this.huddle.start();
    }

    /** Lets the node leave. */
    destroy(): Promise<void> {
        return this.huddle.stop();
    }

    async get<T extends JsonCompatible<T>>(key: string): Promise<T | undefined> {
        const text = await this.huddle.getItem(key);
        if (text === undefined) return undefined;
        try {
            return JSON.parse(text) as T;
        } catch {
            this.huddle.unreadable('an item');
            return undefined;
        }
    }

    /** A ttl (milliseconds) that is missing or 0 is without end; a negative one removes the item. */
    async set<T extends JsonCompatible<T>>(key: string, value: T, options?: SetCacheKeyOptions): Promise<void> {
        const ttl = options?.ttl || undefined;
        const text = JSON.stringify(value) as string | undefined;
        if (text === undefined || (ttl !== undefined && !(ttl > 0))) return this.huddle.deleteItem(key);
        await this.huddle.setItem(key, text, ttl, options?.tags ?? []);
    }

    delete(key: string): Promise<void> {
        return this.huddle.deleteItem(key);
    }

    invalidateTags(tags: string[]): Promise<void> {
        return this.huddle.invalidateItems(tags);
    }
}
