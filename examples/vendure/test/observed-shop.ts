// A replica that looks sessions up inside its process when its parent asks for it, as each of its requests does.
import { bootstrap, SessionService } from '@vendure/core';
import { config } from '../src/config';

/** Time n look-ups; or look a token up without pause until there is a stop. */
export type Order = { times: string[]; n: number } | { watch: string; loops: number } | { stop: true };

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
        process.on('message', (order: Order) => {
            void (async () => {
                if ('times' in order) {
                    process.send!(await time(order.times, order.n));
                } else if ('watch' in order) {
                    stopped = false;
                    watched = Promise.all(Array.from({ length: order.loops }, () => watch(order.watch)));
                    process.send!('watching');
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
