// What the node takes. Beyond these it refuses a request, and there is nothing stored that such a request could be about.

const mostKeyBytes = 1024;
const mostTagBytes = 1024;
const mostTags = 64; // of one call

/** The node bounds the head of a request to 16 KiB; the rest of it is for a key and the other headers. */
const mostQueryBytes = 12 << 10;

/** A surrogate without its other half: it has no form in UTF-8. The reads would put U+FFFD there, which is another key. */
const halfCharacter = /\p{Surrogate}/u;

/** Tells whether there can be an entry of this key. */
export function storable(key: string): boolean {
    return key !== '' && Buffer.byteLength(key) <= mostKeyBytes && !halfCharacter.test(key);
}

/** Tells whether an entry can have these tags. */
export function taggable(tags: string[]): boolean {
    const groups = tagGroups(tags);
    return tags.length === 0 || (groups.length === 1 && groups[0].length === tags.length);
}

/** Groups tags so that each group fits into one call. Tags that no entry can have are left out. */
export function tagGroups(tags: string[]): string[][] {
    const groups: string[][] = [];
    let bytes = 0;
    for (const tag of tags) {
        if (tag === '' || Buffer.byteLength(tag) > mostTagBytes) continue;
        const more = new URLSearchParams({ tag }).toString().length + 1;
        const last = groups.at(-1);
        if (last && last.length < mostTags && bytes + more <= mostQueryBytes) {
            last.push(tag);
            bytes += more;
        } else {
            groups.push([tag]);
            bytes = more;
        }
    }
    return groups;
}
