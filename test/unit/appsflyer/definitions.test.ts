import { describe, expect, it } from 'vitest';
import { dictionary } from '../../../actors/appsflyer/definitions.ts';
import { appsflyerPipeline as pipeline } from '../../../actors/appsflyer/pipeline.ts';
import { resultSchema } from '../../../engine/core/pipeline.ts';

describe('the dictionary', () => {
  it('explains every name of the answers, once', () => {
    const schema = resultSchema(pipeline);
    const names = [...schema.dimensions, ...schema.measures.map((measure) => measure.name), schema.breakdown, ...schema.labels];
    expect(dictionary().definitions.map((each) => each.name)).toEqual(names);
    expect(new Set(names).size).toBe(names.length);
    for (const each of dictionary().definitions) expect([each.title, each.formula, each.source_fields.length > 0]).not.toContain('');
  });

  it('is plain JSON', () => {
    expect(JSON.parse(JSON.stringify(dictionary()))).toEqual(dictionary());
  });

  it('names the measures that users rely on, in their order', () => {
    expect(pipeline.measures.map((measure) => measure.name)).toEqual([
      'installs', 'reinstalls', 're_engagements', 're_attributions', 'events', 'conversions', 'revenue_micros', 'unpriced_events', 'secondary_conversions', 'secondary_revenue_micros',
      'uninstalls', 'blocked_installs', 'ad_revenue_micros', 'skan_installs', 'skan_redownloads', 'skan_events', 'skan_postbacks', 'skan_revenue_micros', 'left_out_amounts', 'test_records',
    ]);
  });
});
