/** First in, first out; anything can be taken out in between. All of it takes constant time. */
export class Queue<T extends object> {
    private readonly items = new Set<T>();
    // One iterator for long: a new one would pass over the places of all that is gone.
    private next = this.items.values();

    /** The number of items. */
    get size(): number {
        return this.items.size;
    }

    /** Adds an item at the end, unless it is there. */
    add(item: T): void {
        this.items.add(item);
    }

    /** Takes an item out, wherever it is. */
    delete(item: T): void {
        this.items.delete(item);
    }

    /** Takes the oldest item out; undefined if there is none. */
    take(): T | undefined {
        let first = this.next.next();
        if (first.done) {
            this.next = this.items.values();
            first = this.next.next();
        }
        if (first.done) return undefined;
        this.items.delete(first.value);
        return first.value;
    }
}
