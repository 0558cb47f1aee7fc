import type { CachedSession, ID, SessionCacheStrategy } from '@vendure/core';
import { Huddle } from './huddle';

/**
 * Keeps sessions in the cluster of the shop's replicas. A session that was deleted on one replica is refused on all, also if a
 * request that had read it from the database before writes it back afterwards.
 *
 * No method rejects or takes longer than the `timeout` of the options. clear() may come before init(): it is made good once the
 * node runs.
 */
export class HuddleSessionCacheStrategy implements SessionCacheStrategy {
    constructor(private readonly huddle: Huddle) {}

    /** Starts the node. */
    init(): Promise<void> {
        return this.huddle.start();
    }

    /** Lets the node leave. */
    destroy(): Promise<void> {
        return this.huddle.stop();
    }

    async get(sessionToken: string): Promise<CachedSession | undefined> {
        const text = await this.huddle.getSession(sessionToken);
        if (text === undefined) return undefined;
        try {
            const session = JSON.parse(text) as CachedSession;
            session.expires = new Date(session.expires);
            if (session.token === sessionToken && !Number.isNaN(session.expires.getTime())) return session;
        } catch {
            // told below
        }
        this.huddle.unreadable('a session');
        return undefined;
    }

    /** A session that is over is removed, for an older copy of it may say otherwise. */
    async set(session: CachedSession): Promise<void> {
        const left = session.expires.getTime() - Date.now();
        if (!(left > 0)) return this.huddle.dropSession(session.token);
        await this.huddle.setSession(session.token, JSON.stringify(session), Math.min(left, this.huddle.settings.sessionTtl));
    }

    delete(sessionToken: string): Promise<void> {
        return this.huddle.deleteSession(sessionToken);
    }

    clear(): Promise<void> {
        return this.huddle.clearSessions();
    }

    /**
     * Removes every session of a user from the cache of every replica, so that the next request of each is judged by the database.
     * To log the user out, end the sessions in the database first: see HuddleService.logOutEverywhere.
     */
    revokeUser(userId: ID): Promise<void> {
        return this.huddle.revokeUser(userId);
    }
}
