-- Reads a lock for people. Writes nothing.
--
-- KEYS[1]  state
-- KEYS[2]  queue
--
-- Returns  'I-' now state;members    members: the first 1000 places of the queue with commas between
-- @include time

local members = redis.call('ZRANGE', KEYS[2], 0, 999)
local state = redis.call('GET', KEYS[1]) or ''
return 'I-' .. now .. #state .. ';' .. state .. table.concat(members, ',')
