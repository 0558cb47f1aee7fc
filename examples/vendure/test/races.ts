import { setTimeout as pause } from 'node:timers/promises';
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
 * Logs n sessions out on one replica while the other looks each up without pause, and counts those that the other serves afterwards.
 * Vendure deletes a session from the cache inside the transaction of the log-out: whoever misses the cache before the COMMIT finds
 * the row in the database, and caches it anew. b runs observed-shop.js.
 *
 * Vendure waits 50 ms for the cache and goes on: on a busy machine a deletion may come a little later. What came back stays.
 */
export async function logOutRace(a: Shop, b: Shop, db: Database, n: number): Promise<number> {
    const served: string[] = [];
    for (let i = 0; i < n; i++) {
        const [token] = await db.sessions(1); // one by one: a log-out ends all sessions of the user
        if ((await b.me(token)) !== 'superadmin') throw new Error('the session is refused before the log-out');
        await b.tell({ watch: token, loops: 4 });
        await a.logOut(token);
        await b.tell({ stop: true });
        if (await db.knows(token)) throw new Error('the session is still in the database');
        if ((await b.me(token)) !== undefined) served.push(token);
    }
    await pause(served.length > 0 ? 2000 : 0);
    let back = 0;
    for (const token of served) if ((await b.me(token)) !== undefined) back++;
    return back;
}

/** After a change of a role the plugin clears the sessions once more, a second later. */
export const settled = () => pause(1200);

/** Makes a role that may see administrators, and somebody with that role. */
export async function clerk(shop: Shop) {
    const name = `clerk-${Date.now()}@example.com`;
    const boss = await shop.logIn();
    const role = await shop.ask(
        `mutation ($code: String!) { createRole(input: { code: $code, description: "x", permissions: [ReadAdministrator] }) { id } }`,
        boss,
        { code: name },
    );
    const { id } = role.data.createRole;
    const made = await shop.ask(
        `mutation ($name: String!, $id: ID!) { createAdministrator(input: { firstName: "x", lastName: "y", emailAddress: $name,
         password: $name, roleIds: [$id] }) { id } }`,
        boss,
        { name, id },
    );
    if (!made.data?.createAdministrator.id) throw new Error('nobody was made');
    await settled();
    return {
        /** Name and password of somebody with the role. */
        name,
        /** What needs the permission; undefined if it is refused. */
        look: (at: Shop, token: string) => at.allowed('{ administrators { totalItems } }', token, data => data.administrators.totalItems),
        /** Takes the permission away, or gives it. */
        change: async (at: Shop, may: boolean) => {
            const answer = await at.ask(
                `mutation ($id: ID!, $may: [Permission!]) { updateRole(input: { id: $id, permissions: $may }) { id } }`,
                boss,
                { id, may: may ? ['ReadAdministrator'] : [] },
            );
            if (answer.data?.updateRole.id !== id) throw new Error('the role was not changed');
        },
    };
}

/**
 * Takes a permission away n times on one replica while the other looks a session up that has it, and counts how often the other still
 * grants it more than a second later. Vendure clears the cache inside the transaction that changes the role. b runs observed-shop.js.
 */
export async function roleRace(a: Shop, b: Shop, n: number): Promise<number> {
    const { name, look, change } = await clerk(a);
    const token = await a.logIn(name);
    let stale = 0;
    for (let i = 0; i < n; i++) {
        await change(a, true);
        await settled();
        if ((await look(b, token)) === undefined) throw new Error('the permission was not given');
        await b.tell({ watch: token, loops: 4 });
        await change(a, false);
        await b.tell({ stop: true });
        await settled();
        if ((await look(b, token)) !== undefined) stale++;
    }
    return stale;
}
