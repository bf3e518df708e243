/**
 * S2S events name their app in the path alone: puts it into the record, for the journal keeps nothing but that.
 *
 * The sender's bytes stay as they are, up to the brace that ends the object; nothing is parsed. What was no JSON does not become it: a member
 * can follow only where the object could have ended as well.
 */

const BLANKS: ReadonlySet<number | undefined> = new Set([0x20, 0x0a, 0x0d, 0x09]);
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/** `bytes[0, length)`, an object, with `app_id` as its last member, in bytes of their own; null where no brace ends it. `appId` needs no escape. */
export function withAppId(bytes: Buffer, length: number, appId: string): Buffer | null {
  const brace = lastOf(bytes, length);
  if (brace < 0 || bytes[brace] !== CLOSE_BRACE) return null;
  const before = lastOf(bytes, brace);
  const comma = before >= 0 && bytes[before] !== OPEN_BRACE ? ',' : '';
  return Buffer.concat([bytes.subarray(0, brace), Buffer.from(`${comma}"app_id":"${appId}"}`, 'latin1')]);
}

/** The position of the last byte of `bytes[0, end)` that is no white space; -1 where there is none. */
function lastOf(bytes: Buffer, end: number): number {
  let at = end - 1;
  while (at >= 0 && BLANKS.has(bytes[at])) at--;
  return at;
}
