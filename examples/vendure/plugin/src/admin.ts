import { Agent, request } from 'node:http';
import { Reach } from './node-process';

/** Longer than the node gives one change. */
const answerTimeout = 10_000;

/** 30 years in milliseconds, well within what the node can count. */
const longestTtl = 30 * 365 * 24 * 3600 * 1000;

/** A change that the node did not confirm. Neither its text nor its code holds a key. */
export class AdminError extends Error {
    constructor(
        /** The node's name of the failure, such as `unconfirmed` or `revoked`; `unreachable` without an answer. */
        readonly code: string,
        text: string,
    ) {
        super(text);
    }
}

/**
 * Makes changes over the node's admin interface. It carries what the Redis protocol does not: tags, and for each deletion whether
 * it is final. Changes may wait for other nodes, so they do not share a connection with the reads.
 */
export class Admin {
    private readonly agent = new Agent({ keepAlive: true, maxSockets: 64 });

    /** Sets an entry. ttl is in milliseconds; undefined is the node's default. */
    set(at: Reach, key: string, value: string, ttl: number | undefined, tags: string[]): Promise<void> {
        const query = new URLSearchParams(tags.map((tag): [string, string] => ['tag', tag]));
        if (ttl !== undefined) query.set('ttl', `${Math.ceil(Math.min(ttl, longestTtl))}ms`);
        return this.call(at, 'PUT', `/api/v1/entries/${encodeURIComponent(key)}?${query}`, value);
    }

    /** Deletes an entry. If it is final, a later set of the key is refused for an hour. */
    remove(at: Reach, key: string, final: boolean): Promise<void> {
        return this.call(at, 'DELETE', `/api/v1/entries/${encodeURIComponent(key)}?revoke=${final}`);
    }

    /** Removes all entries that have one of the tags, on all nodes. */
    invalidate(at: Reach, tags: string[]): Promise<void> {
        const query = new URLSearchParams(tags.map((tag): [string, string] => ['tag', tag]));
        return this.call(at, 'POST', `/api/v1/invalidate-tags?${query}`);
    }

    /** Ends the idle connections. */
    close(): void {
        this.agent.destroy();
    }

    private call(at: Reach, method: string, path: string, body?: string): Promise<void> {
        return new Promise((resolve, reject) => {
            const unreachable = (e: Error) => reject(new AdminError('unreachable', e.message));
            const headers: Record<string, string | number> = { Authorization: `Bearer ${at.token}` };
            if (body !== undefined) headers['Content-Length'] = Buffer.byteLength(body);
            const { port } = at.admin;
            const hostname = at.admin.hostname.replace(/^\[|\]$/g, ''); // an address of IPv6 stands in brackets in a URL only
            const req = request({ agent: this.agent, hostname, port, method, path, headers }, res => {
                let text = '';
                res.setEncoding('utf8');
                res.on('data', (part: string) => (text += part));
                res.on('error', unreachable);
                res.on('end', () => (res.statusCode === 200 ? resolve() : reject(failure(res.statusCode, text))));
            });
            req.setTimeout(answerTimeout, () => req.destroy(new Error('no answer')));
            req.on('error', unreachable);
            req.end(body);
        });
    }
}

/** Of answers that do not come from the node's own handlers: its HTTP server refuses a long head, a proxy may refuse anything. */
const codes: Record<number, string> = { 401: 'forbidden', 403: 'forbidden', 413: 'too_large', 414: 'too_large', 431: 'too_large' };

function failure(status: number | undefined, text: string): AdminError {
    try {
        const answer = JSON.parse(text) as { code?: string; error?: string };
        if (answer.code) return new AdminError(answer.code, answer.error ?? answer.code);
    } catch {
        // not the node's own answer
    }
    return new AdminError(codes[status ?? 0] ?? 'internal', `status ${status}`);
}
