export { HuddleCacheStrategy } from './cache-strategy';
export { Huddle } from './huddle';
export type { Log } from './log';
export type { HuddleOptions } from './options';
export { HuddlePlugin, HuddleService } from './plugin';
export type { HuddlePluginOptions } from './plugin';
export { HuddleSessionCacheStrategy } from './session-cache-strategy';
