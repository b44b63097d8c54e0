-- Takes the lock away from whoever holds it, tells the holder, and hands it to the next in the queue.
-- Run twice: the second time it takes it from the next holder, so it is never sent again by itself.
--
-- KEYS[1]  state
-- KEYS[2]  queue
-- ARGV[1]  instance (32) of the caller
-- ARGV[2]  wire: 'S' or 'P' (sharded or plain), then the prefix of the inbox channels
--
-- Returns  'R' more                              taken away
--          'G' more now ends token terms;seqs;   taken away, and granted to places of the caller's instance
--          'N-'                                  nobody held it
--          more: '+' when the caller has to sweep at once, else '-'
local caller, wire = ARGV[1], ARGV[2]
-- @include time
-- @include state
-- @include promote

local lock = read(redis.call('GET', KEYS[1]))
if lock.ends <= now then return 'N-' end
if lock.seqs ~= '' then publish(lock.holder, 'L' .. lock.token .. ' ' .. KEYS[1]) end
local outcome = 'nobody'
if lock.queued then
  outcome = promote(lock)
else
  vacate(lock)
end
save(lock)
if outcome == 'own' then return 'G-' .. grant(lock) .. ';' end
return outcome == 'more' and 'R+' or 'R-'
