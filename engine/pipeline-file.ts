/** The settings of a configuration with some of its rules replaced by those of a file: what a replay tries out. */

import { EngineError } from './core/errors.ts';
import { z } from './core/schema.ts';
import { loadConfig, namesIn } from './runtime/config.ts';
import { settingsSchema, type Settings } from './settings.ts';

const { windows, dedupe, metrics, apps, enrichment, cells } = settingsSchema.shape;

/** Settings that can change a verdict or a cell. Privacy is none of them: it hides what goes to the lake. */
const pipelineSchema = z.strictObject({
  windows,
  dedupe: dedupe.unwrap().omit({ memory_bytes_max: true }).prefault({}),
  metrics,
  apps,
  enrichment: enrichment.unwrap().omit({ reload_interval_seconds: true }).prefault({}),
  cells,
});
type Section = keyof z.output<typeof pipelineSchema>;

/** What the file does not name stays as configured. Raises CONFIG_INVALID, as a configuration does. */
export function withPipelineFile(settings: Settings, file: string): Settings {
  const named = loadPipeline(file);
  const replaced: Settings = { ...settings };
  for (const [section, names] of namesIn(file)) {
    const from = named[section as Section] as Readonly<Record<string, unknown>>;
    Object.assign(replaced, { [section]: { ...replaced[section as Section], ...Object.fromEntries(names.map((name) => [name, from[name]])) } });
  }
  return replaced;
}

function loadPipeline(file: string): z.output<typeof pipelineSchema> {
  try {
    return loadConfig(pipelineSchema, { file, env: {} });
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    throw new EngineError('CONFIG_INVALID', error.message, { where: error.where, cause: error, fix: `${file} may hold these sections: ${Object.keys(pipelineSchema.shape).join(', ')}, without what is no rule (dedupe.memory_bytes_max, enrichment.reload_interval_seconds)` });
  }
}
