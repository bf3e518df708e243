/**
 * The secret of a data directory under which the journal names erased users, and under which the desk keeps a user's name until the erasure is done.
 *
 * Made once, with the directory or at the first start of a program that erases; savepoints take it with them, for without it the journal's erasures
 * cannot be obeyed again. Not one of privacy.secrets: those may be taken out of use, and a replay must find this one for as long as there is a journal.
 */

import { createCipheriv, createDecipheriv, createHmac, randomBytes } from 'node:crypto';
import { chmodSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { EngineError } from './core/errors.ts';
import { ERASE_SECRET_FILE } from './runtime/savepoint.ts';
import { writeFileAtomically } from './runtime/data-directory.ts';

const SECRET_BYTES = 32;
const SECRET = /^[0-9a-f]{64}$/;
const OWNER_ONLY = 0o600;
const CIPHER = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** Of a directory that a daemon opens: makes it where there is none. Raises DATA_DIR_UNUSABLE. */
export function makeEraseSecret(directory: string): string {
  const known = readEraseSecret(directory);
  if (known !== null) return known;
  const secret = randomBytes(SECRET_BYTES).toString('hex');
  writeFileAtomically(join(directory, ERASE_SECRET_FILE), `${secret}\n`, OWNER_ONLY);
  return secret;
}

/** Null where there is none: then nobody was ever erased there. Raises DATA_DIR_UNUSABLE for what is none. */
export function readEraseSecret(directory: string): string | null {
  const file = join(directory, ERASE_SECRET_FILE);
  if (!existsSync(file)) return null;
  chmodSync(file, OWNER_ONLY);
  const secret = readFileSync(file, 'utf8').trim();
  if (SECRET.test(secret)) return secret;
  throw new EngineError('DATA_DIR_UNUSABLE', `${file} holds no secret of 64 hex digits`, { where: { file }, fix: 'restore it from a savepoint: erasures in the journal are read with it' });
}

/** A text that only who has the secret can read. */
export function seal(secret: string, text: string): string {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, sealKey(secret), nonce);
  const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
  return Buffer.concat([nonce, cipher.getAuthTag(), sealed]).toString('base64');
}

/** Raises where it was sealed under another secret, or changed. */
export function unseal(secret: string, text: string): string {
  const bytes = Buffer.from(text, 'base64');
  const decipher = createDecipheriv(CIPHER, sealKey(secret), bytes.subarray(0, NONCE_BYTES));
  decipher.setAuthTag(bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
  return decipher.update(bytes.subarray(NONCE_BYTES + TAG_BYTES), undefined, 'utf8') + decipher.final('utf8');
}

const sealKey = (secret: string): Buffer => createHmac('sha256', secret).update('millrace erasure seal').digest();
