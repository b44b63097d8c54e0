-- Looks after a lock on behalf of those who wait: hands it on when its holder let it lapse.
-- Run twice, or late: it does what the next one would do anyway.
--
-- KEYS[1]  state
-- KEYS[2]  queue
-- ARGV[1]  instance (32), then its first place, seq:lease:block, or nothing
-- ARGV[2]  wire: 'S' or 'P' (sharded or plain), then the prefix of the inbox channels
--
-- Returns  'W' more now ends queued subscribed      queued: '1' when that place is still queued, else '0'
--                                                   subscribed: '1' when Redis sees a subscriber of the inbox, else '0'
--          'G' more now ends token terms;seqs;      granted to places of this instance
--          more: '+' when the caller has to sweep again at once, else '-'
local caller, wire = string.sub(ARGV[1], 1, 32), ARGV[2]
-- @include time
-- @include state
-- @include promote

local lock = read(redis.call('GET', KEYS[1]))
local changed = acquit(lock, caller)
local outcome = 'held'
if lock.ends <= now and lock.queued then
  suspect(lock, caller)
  outcome = promote(lock)
  changed = true
end
if changed then save(lock) end
if outcome == 'own' then return 'G-' .. grant(lock) .. ';' end

local queued = #ARGV[1] > 32 and redis.call('ZSCORE', KEYS[2], ARGV[1])
if queued then redis.call('PEXPIRE', KEYS[2], math.max(lock.ends - now, 0) + 3600000) end
local inbox = string.sub(wire, 2) .. caller
local subscribers = redis.call('PUBSUB', string.sub(wire, 1, 1) == 'S' and 'SHARDNUMSUB' or 'NUMSUB', inbox)
return 'W' .. (outcome == 'more' and '+' or '-') .. now .. lock.ends
  .. (queued and '1' or '0') .. (tonumber(subscribers[2]) > 0 and '1' or '0')
