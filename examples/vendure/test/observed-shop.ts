// A replica that does inside its process what its parent asks for.
import { HuddleService } from '@huddle/vendure-plugin';
import { bootstrap, RequestContextService, SessionService, UserService } from '@vendure/core';
import { config } from '../src/config';

export type Order =
    | { times: string[]; n: number } // time n look-ups of sessions
    | { watch: string; loops: number } // look a session up without pause, as requests do, until there is a stop
    | { stop: true }
    | { revoke: string } // remove the sessions of a user from the cache
    | { logOutEverywhere: string }; // end the sessions of a user

void (async () => {
    try {
        const app = await bootstrap(config(process.env));
        const service = app.get(SessionService);
        let watched = Promise.resolve<unknown>(undefined);
        let stopped = false;

        const time = async (tokens: string[], n: number) => {
            const times: number[] = [];
            for (let i = 0; i < n; i++) {
                const begun = performance.now();
                const session = await service.getSessionFromToken(tokens[i % tokens.length]);
                times.push(performance.now() - begun);
                if (!session?.user) throw new Error('a session was not found');
            }
            return times;
        };
        const watch = async (token: string) => {
            while (!stopped) {
                await service.getSessionFromToken(token);
                await new Promise(resolve => setImmediate(resolve)); // so that a stop is heard
            }
        };
        const user = async (name: string) => {
            const ctx = await app.get(RequestContextService).create({ apiType: 'admin' });
            const found = await app.get(UserService).getUserByEmailAddress(ctx, name, 'administrator');
            if (!found) throw new Error('there is no such user');
            return { ctx, found };
        };
        process.on('message', (order: Order) => {
            void (async () => {
                if ('times' in order) {
                    process.send!(await time(order.times, order.n));
                } else if ('watch' in order) {
                    stopped = false;
                    watched = Promise.all(Array.from({ length: order.loops }, () => watch(order.watch)));
                    process.send!('watching');
                } else if ('revoke' in order) {
                    await app.get(HuddleService).revokeUser((await user(order.revoke)).found.id);
                    process.send!('revoked');
                } else if ('logOutEverywhere' in order) {
                    const { ctx, found } = await user(order.logOutEverywhere);
                    await app.get(HuddleService).logOutEverywhere(ctx, found);
                    process.send!('logged out');
                } else {
                    stopped = true;
                    await watched;
                    process.send!('stopped');
                }
            })();
        });
        process.send!('ready');
    } catch (e) {
        console.error(e);
        process.exit(1);
    }
})();
