import { Database, Shop } from './support';

/** Asks again and again, so many at a time, until stop() is called, which returns when the last is answered. */
export function traffic(loops: number, ask: (i: number) => Promise<unknown>): { stop: () => Promise<void> } {
    let stopped = false;
    const all = Promise.all(
        Array.from({ length: loops }, async (_, i) => {
            while (!stopped) await ask(i);
        }),
    );
    return {
        stop: async () => {
            stopped = true;
            await all;
        },
    };
}

/**
 * Logs n sessions out on one replica while the other has requests of theirs, and counts those that it serves afterwards. Vendure
 * deletes a session from the cache inside the transaction of the log-out: a request on another replica that misses the cache before
 * the COMMIT finds the row in the database, and caches it anew.
 */
export async function logOutRace(a: Shop, b: Shop, db: Database, n: number): Promise<number> {
    let back = 0;
    for (const token of await db.sessions(n)) {
        await b.me(token);
        const requests = traffic(6, () => b.me(token));
        await a.logOut(token);
        await requests.stop();
        if (await db.knows(token)) throw new Error('the session is still in the database');
        if ((await b.me(token)) !== undefined) back++;
    }
    return back;
}
