/**
 * The scripts that run inside Redis. Each touches one key, so that they work on a cluster, and holds the server for
 * microseconds: of a stored value its first {@link HEAD_BYTES} are read, where its order stands, and seldom its last {@link TAIL_BYTES}.
 */

/** Timestamp, generation and revision stand within this many bytes of a value (see encode.ts); a test holds it. */
export const HEAD_BYTES = 200;

/** Whether it is final stands within this many bytes of a value's end (see encode.ts); a test holds it. */
export const TAIL_BYTES = 64;

/** What {@link STORE_SCRIPT} answers. */
export const StoreReply = { refused: 0, stored: 1, replacedForeign: 2 } as const;

/**
 * Stores a value unless the one there is newer by (timestamp, generation, revision); an equal one is written again, unless it yields to
 * a final one and that stands there: an hour of late records alone becomes final without another revision.
 * Whatever else stands under the key (no value of ours, or not even a string) is replaced.
 *
 * KEYS[1]; ARGV: value, timestamp, generation, revision, expiry in epoch ms, 1 if it yields to a final one (else 0).
 * Timestamps are compared as text of one fixed format; generation and revision stay below 2^53, exact in Lua.
 */
export const STORE_SCRIPT = `
local reply = ${StoreReply.stored}
local head = redis.pcall('GETRANGE', KEYS[1], 0, ${HEAD_BYTES - 1})
if type(head) ~= 'string' then
  reply = ${StoreReply.replacedForeign}
elseif head ~= '' then
  local timestamp, generation, revision = string.match(head, '^{"timestamp":"(%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%dZ)","generation":(%d+),"revision":(%d+),')
  if not timestamp then
    reply = ${StoreReply.replacedForeign}
  else
    if timestamp ~= ARGV[2] then
      if timestamp > ARGV[2] then return ${StoreReply.refused} end
    else
      local storedGeneration, newGeneration = tonumber(generation), tonumber(ARGV[3])
      if storedGeneration > newGeneration then return ${StoreReply.refused} end
      if storedGeneration == newGeneration then
        local storedRevision, newRevision = tonumber(revision), tonumber(ARGV[4])
        if storedRevision > newRevision then return ${StoreReply.refused} end
        if storedRevision == newRevision and ARGV[6] == '1' and string.find(redis.call('GETRANGE', KEYS[1], -${TAIL_BYTES}, -1), '"final":true,"updated_at":', 1, true) then
          return ${StoreReply.refused}
        end
      end
    end
  end
end
redis.call('SET', KEYS[1], ARGV[1])
redis.call('PEXPIREAT', KEYS[1], ARGV[5])
return reply
`;

/**
 * Replaces the marker only if it is still the one we know ('' for none); answers 0 when it is not: Redis was flushed,
 * restored or replaced in between, or somebody else writes. Something that is no string counts as none.
 *
 * KEYS[1]; ARGV: the marker as last seen, the new one.
 */
export const MARK_SCRIPT = `
local held = redis.pcall('GET', KEYS[1])
if type(held) ~= 'string' then held = '' end
if held ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1
`;
