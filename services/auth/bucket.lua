-- One request of one account: is the caller's knowledge of it current, is its key revoked, and is a token left?
--
-- KEYS  1 bucket: "<level>:<time>"   2 epoch   3 set of the ids of keys and sessions revoked lately
-- ARGV  1 key id
--       2 epoch that the caller's entry was read with, or "-" where there is no entry to be current
--       3 epoch that the caller saw here before it read that entry, or "-"
--       4 tokens a minute, 0 = unlimited   5 burst   6 cost in tokens   7 session id, or "-"
-- Answers { epoch here, current, revoked, allowed, tokens left, microseconds to the next token (or to as many as
-- it costs), to a full bucket }.
--
-- All sums are of whole numbers below 2^53, which a double holds exactly: a token is 60,000,000 units, so that
-- each microsecond brings exactly `tokens a minute` units.
local UNITS = 60000000
local EPOCH_SECONDS = 86400

local epoch = redis.call('GET', KEYS[2]) or ''
if ARGV[2] ~= '-' and epoch ~= ARGV[2] then
  if epoch ~= ARGV[3] then
    return { epoch, 0, 0, 0, 0, 0, 0 }
  end
  -- The entry was read after this very epoch was seen, so it is at least as new as what changed it.
  redis.call('SET', KEYS[2], ARGV[2], 'EX', EPOCH_SECONDS)
end
if redis.call('SISMEMBER', KEYS[3], ARGV[1]) == 1
    or (ARGV[7] ~= '-' and redis.call('SISMEMBER', KEYS[3], ARGV[7]) == 1) then
  return { epoch, 1, 1, 0, 0, 0, 0 }
end

local rate = tonumber(ARGV[4])
if rate == 0 then
  return { epoch, 1, 0, 1, 0, 0, 0 }
end
local full = tonumber(ARGV[5]) * UNITS
local cost = tonumber(ARGV[6]) * UNITS
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]

local level = full
local stored = redis.call('GET', KEYS[1])
if stored then
  local units, at = string.match(stored, '^(%d+):(%d+)$')
  level = math.min(tonumber(units), full)
  -- A clock set back (or a replica's) refills from now on; the cap keeps the product exact.
  local elapsed = math.max(0, now - tonumber(at))
  level = math.min(full, level + math.min(elapsed, math.ceil((full - level) / rate)) * rate)
end

local allowed = 0
if level >= cost then
  allowed = 1
  if cost > 0 then
    level = level - cost
    -- Redis counts whole milliseconds from the last whole one: one more, or the key goes before it is full.
    local milliseconds = math.ceil((full - level) / rate / 1000) + 1
    redis.call('SET', KEYS[1], string.format('%.0f:%.0f', level, now), 'PX', milliseconds)
  end
end
return {
  epoch, 1, 0, allowed,
  math.floor(level / UNITS),
  math.ceil(math.max(0, math.max(UNITS, cost) - level) / rate),
  math.ceil((full - level) / rate),
}
