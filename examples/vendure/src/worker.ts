// The shop's worker, which does its background jobs. It is a process of its own, so it has a node of its own too: on the host of a
// replica give it HUDDLE_LISTEN=127.0.0.1:0 (any port) and let HUDDLE_JOIN name the replica's node. SIGTERM ends it.
import { bootstrapWorker } from '@vendure/core';
import { config } from './config';

void (async () => {
    try {
        const worker = await bootstrapWorker(config(process.env));
        await worker.startJobQueue();
        process.send?.('ready');
    } catch (e) {
        console.error(e);
        process.exit(1);
    }
})();
