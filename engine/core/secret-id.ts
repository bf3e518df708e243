/** What the journal says of a secret: enough to find it again among several, nothing to compute it from. Pure. */

import { createHmac } from 'node:crypto';

const ID_TEXT = 'millrace secret id';
const ID_DIGITS = 16;

/** 16 hex digits. */
export const secretId = (secret: string | Uint8Array): string => createHmac('sha256', secret).update(ID_TEXT).digest('hex').slice(0, ID_DIGITS);
