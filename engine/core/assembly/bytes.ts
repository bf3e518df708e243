/** What several modules need. */

/** Whether `length` bytes, at least 1, are the same. Reads nothing beyond them. */
// @ts-ignore: decorator
@inline
export function isSame(one: usize, other: usize, length: i32): bool {
  if (length >= 16) {
    const tail = length - 16;
    for (let at = 0; at < tail; at += 16) if (v128.any_true(v128.xor(v128.load(one + at), v128.load(other + at)))) return false;
    return !v128.any_true(v128.xor(v128.load(one + tail), v128.load(other + tail)));
  }
  if (length >= 8) return load<u64>(one) == load<u64>(other) && load<u64>(one + length - 8) == load<u64>(other + length - 8);
  if (length >= 4) return load<u32>(one) == load<u32>(other) && load<u32>(one + length - 4) == load<u32>(other + length - 4);
  if (length >= 2) return load<u16>(one) == load<u16>(other) && load<u16>(one + length - 2) == load<u16>(other + length - 2);
  return load<u8>(one) == load<u8>(other);
}
