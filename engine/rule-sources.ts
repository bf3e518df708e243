/** Where a thread finds what journaled rules name: copies of GeoIP files in the data directory, and the secrets of the configuration. */

import fs from 'node:fs';
import { EngineError } from './core/errors.ts';
import type { PlaceLookup, RuleResources } from './core/rule-resources.ts';
import { secretId } from './core/secret-id.ts';
import { readSettingFile } from './core/setting-file.ts';
import { openGeoCopy } from './runtime/geo-files.ts';
import type { Settings } from './settings.ts';

/** Plain data: crosses to any thread. */
export interface RuleSources {
  readonly geoDirectory: string;
  /** Of the configuration, the first one being in use; and the one under which the journal names erased users. */
  readonly secrets: readonly string[];
}

/** Files that a thread keeps in memory: of the rules in use, and of those that a backlog of lake slots was counted with. */
const FILES_KEPT = 2;
const SECRET_CHARACTERS_MIN = 32;
const SECRET_FILE_BYTES_MAX = 64 * 1024;

/** Reads a file once, and another time only where many others were asked for in between. */
export function resourcesFrom({ geoDirectory, secrets }: RuleSources): RuleResources {
  const files = new Map<string, PlaceLookup>();
  return {
    places: (hash) => {
      const known = files.get(hash);
      if (known !== undefined) return known;
      const [oldest] = files.keys();
      if (files.size >= FILES_KEPT && oldest !== undefined) files.delete(oldest);
      const places = openGeoCopy(geoDirectory, hash);
      files.set(hash, places);
      return places;
    },
    secret: (id) => {
      const secret = secrets.find((one) => secretId(one) === id);
      if (secret !== undefined) return Buffer.from(secret);
      throw new EngineError('RULE_RESOURCE_MISSING', `the rules of records that wait for the lake, or an erasure, name secret ${id}, which is neither among privacy.secrets nor in the file erasure-secret of the data directory`, {
        where: { secret: id },
        fix: 'add the former secret behind the one in use, in privacy.secrets or as a further line of privacy.secret_file, until these records are in the lake; or put erasure-secret back from a savepoint',
      });
    },
  };
}

/** The secrets of a configuration, the one in use first. Raises CONFIG_INVALID; no secret is part of a message. */
export function secretsOf({ privacy }: Pick<Settings, 'privacy'>): readonly string[] {
  const { secrets, secret_file: file } = privacy;
  if (file === '') return checked(secrets, 'privacy.secrets');
  if (secrets.length > 0) throw new EngineError('CONFIG_INVALID', 'privacy.secret_file: privacy.secrets is set too: leave one of them empty');
  const text = readSettingFile(fs, { setting: 'privacy.secret_file', file, bytesMax: SECRET_FILE_BYTES_MAX }).toString('utf8');
  return checked(text.split('\n').map((line) => line.trim()).filter((line) => line !== ''), 'privacy.secret_file');
}

function checked(secrets: readonly string[], setting: string): readonly string[] {
  const short = secrets.findIndex((secret) => secret.length < SECRET_CHARACTERS_MIN);
  if (short >= 0) throw new EngineError('CONFIG_INVALID', `${setting}: secret ${short + 1} has fewer than ${SECRET_CHARACTERS_MIN} characters: make one with openssl rand -hex 32`);
  return secrets;
}
