-- Hands a lock that nobody holds to the head of its queue: the longest run (at most 128) of places of one instance on
-- the same terms, in ticket order. The grant goes to that instance's inbox; when nobody receives it, the instance is
-- dead or reconnecting and its places leave the queue (who lives comes back with its tickets). Suspects' places leave
-- untried: their sockets may look open while nobody reads. All that leaves is the head of the queue, so one
-- ZREMRANGEBYRANK removes it. At most 32 instances are tried and 32 windows of 128 places are looked at.
--
-- Needs: caller (32), wire ('S' or 'P', then the prefix of the inbox channels).
-- Returns 'own' when the caller itself got it (replied directly), 'more' when the limit was reached: sweep again.
local function publish(instance, message)
  -- A PSUBSCRIBE * of some tool makes PUBLISH count a dead instance as alive; sharded channels know no patterns.
  local command = string.sub(wire, 1, 1) == 'S' and 'SPUBLISH' or 'PUBLISH'
  return redis.call(command, string.sub(wire, 2) .. instance, message)
end

local function run(heads, from)
  local terms = string.match(heads[from], ':(.*)$', 33)
  local instance = string.sub(heads[from], 1, 32)
  local seqs, last = {}, from - 1
  while heads[last + 1] and #seqs < 128 do
    local seq, others = string.match(heads[last + 1], '^(%d+):(.*)$', 33)
    if others ~= terms or string.sub(heads[last + 1], 1, 32) ~= instance then break end
    seqs[#seqs + 1] = seq
    last = last + 1
  end
  return instance, terms, seqs, last
end

local function promote(lock)
  local gone, tried, width = {}, 0, 4
  for id in string.gmatch(lock.suspects, string.rep('.', 32)) do gone[id] = true end
  vacate(lock)
  for _ = 1, 32 do
    local heads = redis.call('ZRANGE', KEYS[2], 0, width - 1)
    local at = 1
    while heads[at] do
      if not gone[string.sub(heads[at], 1, 32)] then
        local instance, terms, seqs, last = run(heads, at)
        if last == #heads and #heads == width and #seqs < 128 then
          -- The run may go on behind what was read.
          width = at + 127
          heads = redis.call('ZRANGE', KEYS[2], 0, width - 1)
          instance, terms, seqs, last = run(heads, at)
        end
        local lease, block = string.match(terms, '^(%d+):(%d+)$')
        lock.token = following(lock.counter)
        lock.ends = string.format('%013.0f', now + lease)
        lock.terms, lock.seqs = terms, table.concat(seqs, ',')
        if instance == caller or publish(instance, 'G' .. grant(lock) .. ' ' .. KEYS[1]) > 0 then
          local tokens = #seqs * block
          lock.counter = tokens == 1 and lock.token or string.format('%016.0f', lock.token + tokens - 1)
          lock.holder = instance
          lock.queued = last < #heads or #heads == width
          redis.call('ZREMRANGEBYRANK', KEYS[2], 0, last - 1)
          return instance == caller and 'own' or 'other'
        end
        gone[instance] = true
        tried = tried + 1
        if tried == 32 then
          redis.call('ZREMRANGEBYRANK', KEYS[2], 0, last - 1)
          vacate(lock)
          lock.queued = true
          return 'more'
        end
      end
      at = at + 1
    end
    if #heads > 0 then redis.call('ZREMRANGEBYRANK', KEYS[2], 0, #heads - 1) end
    vacate(lock)
    if #heads < width then
      lock.queued, lock.suspects = false, ''
      return 'nobody'
    end
    width = 128
  end
  lock.queued = true
  return 'more'
end
