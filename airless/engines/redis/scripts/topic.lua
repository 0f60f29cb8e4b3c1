-- What all scripts know: how a topic is kept. Below a prefix P there are, of a topic T (the last part of a name):
--
--   P:body:T     hash    id -> the message's bytes
--   P:meta:T     hash    id -> key (or false), priority, weight, attempt, time from which it can be had, number,
--                        receipt (or false), how many leases of it ran out
--   P:ready:T    zset    what can be had now: messages without a key, and of each free key its first
--   P:lane:T,K   zset    the messages of a key that nobody has and whose time has come
--   P:held:T     hash    key -> how many of its messages are leased; such a key gives nothing
--   P:delayed:T  zset    id by the time from which it can be had
--   P:leased:T   zset    id by the time at which its lease ends
--   P:dead:T     zset    id by the time at which it was given up;  P:letters:T  hash  id -> what is kept of it
--   P:topics     zset    the topics on which something waits;      P:weights    hash  topic -> the sum of weights
--
-- What waits is sorted by priority, then by time, then by number: the score is the priority, negative, and the member
-- begins with time and number, big-endian. Times are the server's, in microseconds.

local P = KEYS[1]
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]

local read = 0
local function arg()
  read = read + 1
  return ARGV[read]
end

local function name(part, topic)
  return P .. ':' .. part .. ':' .. topic
end

local function lane_of(topic, key)
  return P .. ':lane:' .. #topic .. ':' .. topic .. key
end

-- Lua passes some thousand values at most.
local function in_parts(list, call)
  for first = 1, #list, 2000 do
    call(unpack(list, first, math.min(#list, first + 1999)))
  end
end

local function bulk(command, where, list)
  in_parts(list, function(...) redis.call(command, where, ...) end)
end

local function all_of(where, ids)
  local found = {}
  in_parts(ids, function(...)
    for _, value in ipairs(redis.call('HMGET', where, ...)) do
      found[#found + 1] = value
    end
  end)
  return found
end

-- What ends work or hands it out must go on where the memory is full, or it would never get emptier: a script that has
-- begun to write may go on, and this is never refused.
local function make_way()
  redis.call('DEL', P .. ':nothing')
end

-- Numbers in the order in which messages came, or came back.
local function numbers(count)
  return redis.call('INCRBY', P .. ':number', count) - count
end

-- The topics on which something can be had that could not before: who waits for them is woken at the end.
local fresh = {}
local function wake()
  for topic in pairs(fresh) do
    redis.call('PUBLISH', P .. ':bell', topic)
  end
end

local function member_of(id, meta)
  return struct.pack('>I8I8', meta[5], meta[6]) .. id
end

-- Put a message that nobody has where its time says.
local function place(topic, id, meta)
  if meta[5] > now then
    redis.call('ZADD', name('delayed', topic), meta[5], id)
    fresh[topic] = true -- who waits has to know until when
    return
  end
  local member, ready = member_of(id, meta), name('ready', topic)
  if not meta[1] then
    redis.call('ZADD', ready, -meta[2], member)
    fresh[topic] = true
    return
  end
  local lane = lane_of(topic, meta[1])
  redis.call('ZADD', lane, -meta[2], member)
  if redis.call('ZRANK', lane, member) == 0 and redis.call('HEXISTS', name('held', topic), meta[1]) == 0 then
    local second = redis.call('ZRANGE', lane, 1, 1)[1]
    if second then
      redis.call('ZREM', ready, second)
    end
    redis.call('ZADD', ready, -meta[2], member)
    fresh[topic] = true
  end
end

-- So many messages of a key are leased no longer; where none is left, the key is free.
local function let_go(topic, key, count)
  local held = name('held', topic)
  if redis.call('HINCRBY', held, key, -count) > 0 then
    return
  end
  redis.call('HDEL', held, key)
  local first = redis.call('ZRANGE', lane_of(topic, key), 0, 0, 'WITHSCORES')
  if first[1] then
    redis.call('ZADD', name('ready', topic), first[2], first[1])
    fresh[topic] = true
  end
end

local function weigh(topic, weight)
  redis.call('HINCRBY', P .. ':weights', topic, weight)
end

-- Keep what is left of a message that is given up: its place among the letters is now, and so many behind.
local function bury(topic, id, meta, error, behind)
  local dead, letters, day = name('dead', topic), name('letters', topic), 86400
  for _, old in ipairs(redis.call('ZRANGEBYSCORE', dead, '-inf', now - 14 * day * 1000000)) do
    redis.call('ZREM', dead, old)
    redis.call('HDEL', letters, old)
  end
  local body = redis.call('HGET', name('body', topic), id)
  redis.call('ZADD', dead, now + behind, id)
  redis.call('HSET', letters, id, cmsgpack.pack({ meta[1], meta[2], meta[3], error, body }))
  redis.call('EXPIRE', dead, 14 * day)
  redis.call('EXPIRE', letters, 14 * day)
end

-- A topic on which nothing waits leaves nothing behind.
local function tidy(topic)
  if redis.call('EXISTS', name('meta', topic)) == 0 then
    redis.call('ZREM', P .. ':topics', topic)
    redis.call('HDEL', P .. ':weights', topic)
  end
end

-- Add messages, but those whose id still waits on their topic. Each has topic, id, body, and a meta whose number is
-- given here; a time that has gone by is now.
local function publish(messages)
  local number, added = numbers(#messages), {}
  for at, message in ipairs(messages) do
    local topic, id, meta = message[1], message[2], message[4]
    if redis.call('HSETNX', name('body', topic), id, message[3]) == 1 then
      meta[5], meta[6], meta[7], meta[8] = math.max(meta[5], now), number + at, false, 0
      redis.call('HSET', name('meta', topic), id, cmsgpack.pack(meta))
      place(topic, id, meta)
      added[topic] = (added[topic] or 0) + meta[3]
    end
  end
  for topic, weight in pairs(added) do
    redis.call('ZADD', P .. ':topics', 0, topic)
    weigh(topic, weight)
  end
end

-- The metas of deliveries (topic, id, receipt), or the first of them that is leased no longer by this receipt.
local function leased_by(deliveries)
  local metas, seen = {}, {}
  for at, delivery in ipairs(deliveries) do
    local topic, id, receipt = delivery[1], delivery[2], delivery[3]
    local packed = redis.call('HGET', name('meta', topic), id)
    local meta = packed and cmsgpack.unpack(packed)
    local until_then = meta and redis.call('ZSCORE', name('leased', topic), id)
    if not until_then or meta[7] ~= receipt or seen[receipt] or tonumber(until_then) <= now then
      return nil, delivery
    end
    seen[receipt] = true
    metas[at] = meta
  end
  return metas
end

-- What a consumer's call came to, under the number of a slot that it uses for one call at a time: who doesn't get his
-- answer asks again, and nothing is done twice.
local function remembered(consumer, slot, nonce)
  local packed = redis.call('HGET', P .. ':calls:' .. consumer, slot)
  local call = packed and cmsgpack.unpack(packed)
  if call and call[1] == nonce then
    return call[2]
  end
end

local function remember(consumer, slot, nonce, result)
  local calls = P .. ':calls:' .. consumer
  redis.call('HSET', calls, slot, cmsgpack.pack({ nonce, result }))
  redis.call('EXPIRE', calls, 3600)
end
