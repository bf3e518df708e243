/** The public names of the generator. */
export { createGenerator, type GeneratedMessage, type Generator, type GeneratorOptions } from './generator.ts';
export { ExpectedTotals, type ExpectedRow, type ExpectedSummary } from './expected.ts';
export type { Effect, EffectMeasure } from './effect.ts';
