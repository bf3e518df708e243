/** What a message of another shape is: one table, one partition, one telling that counts. */

import type { Guard } from './guard.ts';

export const SHAPES: readonly Guard[] = [
  {
    section: 'door',
    rule: 'door and identity look for the same users, those of Push v1 too',
    file: 'actors/appsflyer/pipeline.ts',
    find: 'users: USER_FIELDS.map(fieldName)',
    replace: "users: USER_FIELDS.map(fieldName).filter((name) => name !== 'appsflyer_device_id')",
    test: { file: 'fuzz/decode.test.ts', name: 'meet: events of one identity always lie in one partition' },
  },
  {
    section: 'door',
    rule: 'a user whom event_value alone names has one partition',
    file: 'engine/core/partition-key.ts',
    find: 'if (search.find(key, last - start) !== Found.absent) return false;',
    replace: 'if (search.find(key, last - start) === Found.twice) return false;',
    test: { file: 'fuzz/decode.test.ts', name: 'meet: events of one identity always lie in one partition' },
  },
  {
    section: 'door',
    rule: 'the app of an S2S path wins over one that the body names',
    file: 'ingress/http/s2s.ts',
    find: "return Buffer.concat([bytes.subarray(0, brace), Buffer.from(`${comma}\"app_id\":\"${appId}\"}`, 'latin1')]);",
    replace: "return bytes.includes('\"app_id\"') ? Buffer.from(bytes.subarray(0, length)) : Buffer.concat([bytes.subarray(0, brace), Buffer.from(`${comma}\"app_id\":\"${appId}\"}`, 'latin1')]);",
    test: { file: 'unit/ingress/s2s.test.ts', name: 'wins in every object, changes nothing else in it, and makes no object of anything' },
  },
  {
    section: 'fold',
    rule: 'a field under its Push name wins over every other name of it',
    file: 'actors/appsflyer/shapes.ts',
    find: 'if (fields.has(field)) continue;',
    replace: '',
    test: { file: 'unit/appsflyer/shapes.test.ts', name: 'give way to the Push name of their field' },
  },
  {
    section: 'fold',
    rule: 'of two tellings of one S2S event one counts',
    file: 'actors/appsflyer/authority.ts',
    find: 'else if (event.isAttributed && event.eventSource().toUpperCase() === S2S_SOURCE) become(event, S2S_COPY, false);',
    replace: '',
    test: { file: 'unit/appsflyer/authority.test.ts', name: 'leaves the rows of the same events from AppsFlyer to the lake then, by whatever way, the second attribution too' },
  },
  {
    section: 'fold',
    rule: 'what rules change in an event they change after its identity, before it counts',
    file: 'actors/partition/cell-counter.ts',
    find: 'if (enrich !== undefined) enrich(event, this.#domainRules as DomainRules);',
    replace: '',
    test: { file: 'unit/partition/verdicts.test.ts', name: 'comes before what the rules change in an event: by the rules of its day, once, after its identity and before it counts' },
  },
];
