import Redis from 'ioredis';
import { NodeProcess } from './node-process';

/** Several connections: a read whose owner is slow to answer holds up those behind it on its own connection only. */
const connections = 4;

/** Reads from the node over its unix socket, in the Redis protocol. */
export class Reader {
    private clients: Redis[] = [];
    private next = 0;

    constructor(
        private readonly node: NodeProcess,
        private readonly timeout: number,
    ) {
        node.on('up', () => this.connect());
        node.on('down', () => this.close());
    }

    /** The value of a key, or undefined. It rejects when there is no answer in time. */
    async get(key: string): Promise<string | undefined> {
        const client = this.clients[this.next++ % connections];
        if (!client) throw new Error('the node is not running');
        return (await client.get(key)) ?? undefined;
    }

    /** Ends the connections. */
    close(): void {
        for (const client of this.clients) client.disconnect();
        this.clients = [];
    }

    private connect(): void {
        this.close();
        const path = this.node.reach?.socket;
        if (!path) return;
        this.clients = Array.from({ length: connections }, () => {
            const client = new Redis({
                path,
                commandTimeout: this.timeout,
                enableReadyCheck: false,
                maxRetriesPerRequest: 0,
                retryStrategy: times => Math.min(20 * times, 500),
            });
            client.on('error', () => undefined); // told by the read that fails
            return client;
        });
    }
}
