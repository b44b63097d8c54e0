-- The state of a lock, one string. Free with an empty queue: the counter alone. Otherwise:
--   1-16   counter   the highest ticket or token that was given: max(last + 1, microseconds of Redis' clock)
--   17     queued    'Q' when somebody may be queued, '-' when surely nobody is
--   18-30  ends      milliseconds of Redis' clock; the grant is in force before it
--   31-46  token     the first token of the grant
--   47-78  holder    the instance that holds it, or NOBODY, or QUARANTINE
--   79-    terms;seqs;suspects
--          terms: lease:block, what each place of the grant asked for
--          seqs: the places that the grant covers; the i-th has the token first + i * block
--          suspects: instances whose last grant lapsed without a release, 32 characters each
local NOBODY = '................................'
local QUARANTINE = '!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!'
local NEVER = '0000000000000'
local NO_TOKEN = '0000000000000000'
local MOST_SUSPECTS = 16

local function read(state)
  local lock = {
    counter = state and string.sub(state, 1, 16) or NO_TOKEN,
    queued = false, ends = NEVER, token = NO_TOKEN, holder = NOBODY, terms = '', seqs = '', suspects = '',
  }
  if state and #state > 16 then
    lock.queued = string.sub(state, 17, 17) == 'Q'
    lock.ends = string.sub(state, 18, 30)
    lock.token = string.sub(state, 31, 46)
    lock.holder = string.sub(state, 47, 78)
    lock.terms, lock.seqs, lock.suspects = string.match(state, '^([^;]*);([^;]*);(.*)$', 79)
  end
  return lock
end

-- Out of memory Redis refuses SET as a script's first write, and a lock that can't be released would be stuck for a
-- lease. A write that is never refused goes first then; after it Redis lets a script finish.
local function set(value, lifetime)
  local reply = redis.pcall('SET', KEYS[1], value, 'PX', lifetime)
  if reply.err then
    redis.call('PEXPIRE', KEYS[1], lifetime)
    redis.call('SET', KEYS[1], value, 'PX', lifetime)
  end
end

-- The key lives an hour after its last use.
local function save(lock)
  if lock.holder == NOBODY and not lock.queued and lock.ends <= now then
    return set(lock.counter, 3600000)
  end
  set(
    lock.counter .. (lock.queued and 'Q' or '-') .. lock.ends .. lock.token .. lock.holder
      .. lock.terms .. ';' .. lock.seqs .. ';' .. lock.suspects,
    math.max(lock.ends - now, 0) + 3600000
  )
end

local function vacate(lock)
  lock.ends, lock.token, lock.holder, lock.terms, lock.seqs = NEVER, NO_TOKEN, NOBODY, '', ''
end

local function following(counter)
  if micros > counter then return micros end
  return string.format('%016.0f', counter + 1)
end

local function covers(lock, instance, seq)
  return lock.holder == instance and lock.ends > now
    and string.find(',' .. lock.seqs .. ',', ',' .. seq .. ',', 1, true) ~= nil
end

-- Any sign of life clears the suspicion.
local function acquit(lock, instance)
  local at = lock.suspects ~= '' and string.find(lock.suspects, instance, 1, true)
  if not at then return false end
  lock.suspects = string.sub(lock.suspects, 1, at - 1) .. string.sub(lock.suspects, at + 32)
  return true
end

-- Who let its grant lapse without a release, and isn't the one who calls.
local function suspect(lock, caller)
  local holder = lock.holder
  if holder == NOBODY or holder == QUARANTINE or holder == caller then return end
  if string.find(lock.suspects, holder, 1, true) then return end
  lock.suspects = string.sub(holder .. lock.suspects, 1, 32 * MOST_SUSPECTS)
end

local function grant(lock)
  return now .. lock.ends .. lock.token .. lock.terms .. ';' .. lock.seqs
end
