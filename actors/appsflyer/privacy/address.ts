/** The network that an address lies in: /24 of an IPv4 one, /48 of an IPv6 one. Pure; no sockets. */

const IPV4 = /^(?:\d{1,3})(?:\.\d{1,3}){3}$/;
const GROUPS = 8;
const GROUPS_KEPT = 3;
const GROUP = /^[0-9a-f]{1,4}$/i;
/** IPv4 addresses written as IPv6 ones. */
const MAPPED = /^::ffff:(\d{1,3}(?:\.\d{1,3}){3})$/i;

/** `192.0.2.44` → `192.0.2.0`, `2001:db8:1:2::3` → `2001:db8:1::`; null for a text that is no address. */
export function truncateAddress(text: string): string | null {
  const plain = MAPPED.exec(text)?.[1] ?? text;
  if (IPV4.test(plain)) {
    const parts = plain.split('.').map(Number);
    return parts.every((part) => part <= 255) ? `${parts.slice(0, 3).join('.')}.0` : null;
  }
  const groups = groupsOf(plain);
  if (groups === null) return null;
  const kept = groups.slice(0, GROUPS_KEPT).map((group) => parseInt(group, 16).toString(16));
  while (kept.at(-1) === '0') kept.pop();
  return `${kept.join(':')}::`;
}

/** Eight groups of an IPv6 address, `::` filled up; null for what is none. A dotted end counts as two groups. */
function groupsOf(text: string): string[] | null {
  const [head, tail, ...more] = text.split('::');
  if (head === undefined || more.length > 0) return null;
  const left = parts(head);
  const right = tail === undefined ? [] : parts(tail);
  const missing = GROUPS - left.length - right.length;
  if (tail === undefined ? missing !== 0 : missing < 1) return null;
  const groups = [...left, ...Array.from({ length: tail === undefined ? 0 : missing }, () => '0'), ...right];
  return groups.every((group) => GROUP.test(group)) ? groups : null;
}

function parts(text: string): string[] {
  if (text === '') return [];
  const groups = text.split(':');
  return IPV4.test(groups.at(-1) as string) ? [...groups.slice(0, -1), '0', '0'] : groups;
}
