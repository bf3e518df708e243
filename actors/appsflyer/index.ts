/** The AppsFlyer domain: its pipeline, its dictionary and its rules. */
export { dictionary, type Dictionary } from './definitions.ts';
export type { AppsflyerEvent } from './event.ts';
export { appsflyerPipeline } from './pipeline.ts';
export { DEFAULT_CONVERSION_EVENTS, type AppsflyerRules, type AppsflyerRulesData } from './rules.ts';
