-- Takes the lock, or a place in its queue; or, after a reconnect, takes back up to 200 places.
-- Run twice, or late: a place that the grant in force covers gets this grant again, one that is queued keeps its ticket.
--
-- KEYS[1]  state
-- KEYS[2]  queue
-- ARGV[1]  instance (32), 'W' to wait or 'T' to try once, then the places, seq:lease:block:ticket with commas between
--          (ticket 0: none yet)
-- ARGV[2]  wire: 'S' or 'P' (sharded or plain), then the prefix of the inbox channels
-- ARGV[3]  only while the server is young: microseconds of its start; a lock that was not used since may be held by
--          somebody whom the server has forgotten
--
-- Returns  'G' more now ends token terms;seqs;tickets     granted, to these places
--          'Q' more now ends length;tickets               queued; tickets: seq:ticket with commas between
--          'B' more now ends length;holder                busy (tried once); nothing is left behind
--          more: '+' when the caller has to sweep at once, else '-'
local state = redis.call('GET', KEYS[1])
-- @include time

if not ARGV[3] and (not state or #state == 16) then
  local seq, lease, block, ticket = string.match(ARGV[1], '^(%d+):(%d+):(%d+):(%d+)$', 34)
  if ticket == '0' then
    local token = micros
    if state and state >= micros then token = string.format('%016.0f', state + 1) end
    local counter = block == '1' and token or string.format('%016.0f', token + block - 1)
    local ends = string.format('%013.0f', now + lease)
    local terms = lease .. ':' .. block .. ';' .. seq
    redis.call('SET', KEYS[1],
      counter .. '-' .. ends .. token .. string.sub(ARGV[1], 1, 32) .. terms .. ';',
      'PX', #lease < 7 and '3600000' or lease + 3600000)
    return 'G-' .. now .. ends .. token .. terms .. ';'
  end
end

local caller, wire = string.sub(ARGV[1], 1, 32), ARGV[2]
local waits = string.sub(ARGV[1], 33, 33) == 'W'
-- @include state
-- @include promote

local lock = read(state)
local known = lock.counter
acquit(lock, caller)

local places, longest, covered, presented = {}, 0, false, NO_TOKEN
for seq, lease, block, ticket in string.gmatch(ARGV[1], '(%d+):(%d+):(%d+):(%d+)', 34) do
  if covers(lock, caller, seq) then
    covered = true
  else
    places[#places + 1] = { seq = seq, ticket = ticket, member = caller .. seq .. ':' .. lease .. ':' .. block }
    longest = math.max(longest, tonumber(lease))
    if ticket ~= '0' and ticket > presented then presented = ticket end
  end
end

if presented > lock.counter then lock.counter = presented end
if lock.ends <= now then
  -- A ticket that the server never gave, or a lock not used since the server started: it may have forgotten a holder.
  -- For one lease nobody gets the lock, so that the holder can write its grant again and the waiters come back.
  local origin = (presented > known and micros) or (ARGV[3] and known < ARGV[3] and ARGV[3])
  local ends = origin and string.format('%013.0f', string.sub(origin, 1, 13) + longest)
  if ends and ends > now then
    vacate(lock)
    lock.holder, lock.ends = QUARANTINE, ends
  end
end

local tickets = {}
if waits then
  for _, place in ipairs(places) do
    local ticket = place.ticket
    if ticket == '0' then ticket = following(lock.counter) end
    if redis.call('ZADD', KEYS[2], 'NX', ticket, place.member) == 0 then
      ticket = string.format('%016.0f', redis.call('ZSCORE', KEYS[2], place.member))
    elseif ticket > lock.counter then
      lock.counter = ticket
    end
    lock.queued = true
    tickets[#tickets + 1] = place.seq .. ':' .. ticket
  end
  if #places > 0 then redis.call('PEXPIRE', KEYS[2], math.max(longest, lock.ends - now) + 3600000) end
end

local outcome = 'held'
if lock.ends <= now then
  suspect(lock, caller)
  if lock.queued then
    outcome = promote(lock)
  else
    vacate(lock)
    lock.suspects = ''
    outcome = 'nobody'
  end
  if outcome == 'nobody' and not waits then
    local place = places[1]
    local lease, block
    lock.seqs, lease, block = string.match(place.member, '^(%d+):(%d+):(%d+)$', 33)
    lock.terms = lease .. ':' .. block
    lock.token = following(lock.counter)
    lock.counter = string.format('%016.0f', lock.token + block - 1)
    lock.holder, lock.ends = caller, string.format('%013.0f', now + lease)
    outcome = 'own'
  end
end

if covered then
  -- The reply's time starts at this send, so the lease must too; never shortened.
  local ends = string.format('%013.0f', now + string.match(lock.terms, '^%d+'))
  if ends > lock.ends then lock.ends = ends end
end
save(lock)

local more = outcome == 'more' and '+' or '-'
if covered or outcome == 'own' then
  return 'G' .. more .. grant(lock) .. ';' .. table.concat(tickets, ',')
end
local length = redis.call('ZCARD', KEYS[2])
if waits then
  return 'Q' .. more .. now .. lock.ends .. length .. ';' .. table.concat(tickets, ',')
end
return 'B' .. more .. now .. lock.ends .. length .. ';' .. lock.holder
