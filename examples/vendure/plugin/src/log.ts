/** Where the plugin tells what happens. Vendure's Logger fits. Nothing told holds a token, a key or a value. */
export interface Log {
    error(message: string): void;
    warn(message: string): void;
    info(message: string): void;
    debug(message: string): void;
}

/** Tells of repeated failures at most once a second for each kind, with the number of those left out. */
export class FailureLog {
    private readonly kinds = new Map<string, { at: number; left: number }>();

    constructor(
        private readonly log: Log,
        private readonly every = 1000,
    ) {}

    failed(kind: string, message: string): void {
        const now = performance.now();
        const last = this.kinds.get(kind);
        if (last && now - last.at < this.every) {
            last.left++;
            return;
        }
        this.log.error(last?.left ? `${message} (and ${last.left} more like it)` : message);
        this.kinds.set(kind, { at: now, left: 0 });
    }
}

/** The text of anything thrown. */
export function reason(e: unknown): string {
    return e instanceof Error ? e.message || e.name : String(e);
}
