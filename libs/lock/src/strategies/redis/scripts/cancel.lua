-- Takes places out of the queue.
-- Run twice, or late: a place that is not queued any more is left alone. When a grant has overtaken the command it is
-- replied, and the instance hands it on.
--
-- KEYS[1]  state
-- KEYS[2]  queue
-- ARGV[1]  instance (32), then the places, seq:lease:block with commas between
--
-- Returns  'C-'                                cancelled
--          'G-' now ends token terms;seqs;     a place is covered by this grant of the instance, which is in force
local instance = string.sub(ARGV[1], 1, 32)
local missed = {}
for seq, terms in string.gmatch(ARGV[1], '(%d+):(%d+:%d+)', 33) do
  if redis.call('ZREM', KEYS[2], instance .. seq .. ':' .. terms) == 0 then missed[#missed + 1] = seq end
end
if #missed == 0 then return 'C-' end

-- @include time
-- @include state

local lock = read(redis.call('GET', KEYS[1]))
for _, seq in ipairs(missed) do
  if covers(lock, instance, seq) then return 'G-' .. grant(lock) .. ';' end
end
return 'C-'
