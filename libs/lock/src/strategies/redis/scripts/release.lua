-- Gives a grant back and hands the lock to the next in the queue.
-- Run twice, or late: only exactly this grant is released, so it harms no later holder.
--
-- KEYS[1]  state
-- KEYS[2]  queue
-- ARGV[1]  token (16), instance (32)
-- ARGV[2]  wire: 'S' or 'P' (sharded or plain), then the prefix of the inbox channels
-- ARGV[3]  only when the lock has to stay closed: for how many milliseconds from now
--
-- Returns  'R' more                           released
--          'G' more now ends token terms;seqs;  released, and granted to other places of this instance
--          'N'                                not this grant's any more: never an error for finished work
--          more: '+' when the caller has to sweep at once, else '-'
local state = redis.call('GET', KEYS[1])
if not state or string.sub(state, 31, 78) ~= ARGV[1] then return 'N-' end
if not ARGV[3] and string.sub(state, 17, 17) == '-' then
  local freed = redis.pcall('SET', KEYS[1], string.sub(state, 1, 16), 'KEEPTTL')
  if not freed.err then return 'R-' end
end

local caller, wire = string.sub(ARGV[1], 17), ARGV[2]
-- @include time
-- @include state
-- @include promote

local lock = read(state)
acquit(lock, caller)
local outcome = 'nobody'
if ARGV[3] then
  vacate(lock)
  lock.ends = string.format('%013.0f', now + ARGV[3])
elseif lock.queued then
  outcome = promote(lock)
else
  vacate(lock)
end
save(lock)
if outcome == 'own' then return 'G-' .. grant(lock) .. ';' end
return outcome == 'more' and 'R+' or 'R-'
