-- Prolongs the grant in force. Never shortens it: the command may be a late copy of an older one.
-- A lock that Redis has lost is written again: it is in quarantine, or free although its counter is below a token of
-- this grant. A lock that was released has a counter at or above it, so a late copy can't bring it back.
--
-- KEYS[1]  state
-- ARGV[1]  token (16), instance (32)
-- ARGV[2]  lease, in milliseconds from now
-- ARGV[3]  the grant, in case that it is lost: its last token (16), terms;seqs
--
-- Returns  'E' again now ends   prolonged; again: '+' when it was written again, and the queue may be lost as well
--          'X-' now             refused: the lock is lost
local state = redis.call('GET', KEYS[1])
-- @include time

if state and string.sub(state, 31, 78) == ARGV[1] and string.sub(state, 18, 30) > now
  and string.sub(state, -1) == ';' then
  local ends = string.format('%013.0f', now + ARGV[2])
  if ends <= string.sub(state, 18, 30) then return 'E-' .. now .. string.sub(state, 18, 30) end
  local saved = redis.pcall('SET', KEYS[1],
    string.sub(state, 1, 17) .. ends .. string.sub(state, 31), 'PX', ARGV[2] + 3600000)
  -- Out of memory: save() knows a way.
  if not saved.err then return 'E-' .. now .. ends end
end

-- @include state

local lock = read(state)
local instance = string.sub(ARGV[1], 17)
local last = string.sub(ARGV[3], 1, 16)
local ours = lock.token == string.sub(ARGV[1], 1, 16) and lock.holder == instance
local held = lock.ends > now and lock.holder ~= QUARANTINE and lock.holder ~= instance
local lost = not held and not ours and (lock.counter < last or lock.holder == QUARANTINE)
if not lost and not (ours and lock.ends > now) then return 'X-' .. now end

acquit(lock, instance)
if lost then
  if lock.counter < last then lock.counter = last end
  lock.ends, lock.token, lock.holder = NEVER, string.sub(ARGV[1], 1, 16), instance
  lock.terms, lock.seqs = string.match(ARGV[3], '^([^;]*);(.*)$', 17)
  -- Who asked meanwhile may be queued already.
  lock.queued = true
end
local ends = string.format('%013.0f', now + ARGV[2])
if ends > lock.ends then lock.ends = ends end
save(lock)
return (lost and 'E+' or 'E-') .. now .. lock.ends
