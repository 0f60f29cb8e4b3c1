-- Lease the best messages of a topic, or of the topics below a name that ends in '/*', each of which gets its turn.
--
-- Returns {microseconds until something changes by itself, or -1}, and behind it of each message topic, id, receipt,
-- body, attempt, and its key behind '=' or ''.

local consumer, slot, nonce, again = arg(), arg(), arg(), arg()
local lease_us, limit, turn = tonumber(arg()), tonumber(arg()), tonumber(arg())
local topic, below = arg(), arg() == '1'
local keys = arg() == '1' and {}
while keys and read < #ARGV do
  keys[#keys + 1] = arg()
end

local answer = { -1 }
local function hand_out(topic, ids, metas)
  local bodies = all_of(name('body', topic), ids)
  for at, id in ipairs(ids) do
    local meta, key = metas[at], metas[at][1]
    local last = #answer
    answer[last + 1], answer[last + 2], answer[last + 3] = topic, id, meta[7]
    answer[last + 4], answer[last + 5], answer[last + 6] = bodies[at], meta[4], key and ('=' .. key) or ''
  end
end

if again == '1' then
  -- What was leased in this very call, whose answer got lost, and still is.
  for _, delivery in ipairs(remembered(consumer, slot, nonce) or {}) do
    local metas = leased_by({ delivery })
    if metas then
      hand_out(delivery[1], { delivery[2] }, metas)
    end
  end
  if #answer > 1 then
    return answer
  end
end

make_way()

local leases = {}

-- A message that so many consumers have died of is given up; nobody can say why.
local most_lost = 50

-- What is leased no longer: that is charged, and its place is the old one.
local function take_back(topic)
  local leased, meta_of, body_of = name('leased', topic), name('meta', topic), name('body', topic)
  local lost, keys = redis.call('ZRANGEBYSCORE', leased, '-inf', now, 'LIMIT', 0, 5000), {}
  if #lost == 0 then
    return
  end
  bulk('ZREM', leased, lost)
  for at, packed in ipairs(all_of(meta_of, lost)) do
    local id, meta = lost[at], cmsgpack.unpack(packed)
    meta[4], meta[7], meta[8] = meta[4] + 1, false, meta[8] + 1
    if meta[8] >= most_lost then
      bury(topic, id, meta, '', at)
      redis.call('HDEL', meta_of, id)
      redis.call('HDEL', body_of, id)
      weigh(topic, -meta[3])
    else
      redis.call('HSET', meta_of, id, cmsgpack.pack(meta))
      place(topic, id, meta)
    end
    if meta[1] then
      keys[meta[1]] = (keys[meta[1]] or 0) + 1
    end
  end
  for key, count in pairs(keys) do
    let_go(topic, key, count)
  end
  tidy(topic)
end

local function refresh(topic)
  local delayed = name('delayed', topic)
  local due = redis.call('ZRANGEBYSCORE', delayed, '-inf', now, 'LIMIT', 0, 5000)
  if #due > 0 then
    bulk('ZREM', delayed, due)
    for at, packed in ipairs(all_of(name('meta', topic), due)) do
      place(topic, due[at], cmsgpack.unpack(packed))
    end
  end
  take_back(topic)
end

local function entry(member, score, key, rank)
  local due, number, rest = struct.unpack('>I8I8', member)
  return {
    member = member,
    score = tonumber(score),
    due = due,
    number = number,
    id = member:sub(rest),
    key = key,
    rank = rank,
  }
end

local function before(one, other)
  if one.score ~= other.score then
    return one.score < other.score
  end
  if one.due ~= other.due then
    return one.due < other.due
  end
  return one.number < other.number
end

local function in_lane(topic, key, rank)
  local found = redis.call('ZRANGE', lane_of(topic, key), rank, rank, 'WITHSCORES')
  return found[1] and entry(found[1], found[2], key, rank)
end

-- A binary heap: the best of it is the first.
local function push(heap, one)
  local at = #heap + 1
  while at > 1 do
    local above = math.floor(at / 2)
    if not before(one, heap[above]) then
      break
    end
    heap[at], at = heap[above], above
  end
  heap[at] = one
end

local function pop(heap)
  local best, last = heap[1], table.remove(heap)
  local at, size = 1, #heap
  while 2 * at <= size do
    local below = 2 * at
    if below < size and before(heap[below + 1], heap[below]) then
      below = below + 1
    end
    if not before(heap[below], last) then
      break
    end
    heap[at], at = heap[below], below
  end
  if size > 0 then
    heap[at] = last
  end
  return best
end

-- Up to `count` messages in their order. Of a key whose first is taken, the next ones may be.
local function take(topic, count)
  local front, lanes = {}, {}
  if keys then
    local held, asked = name('held', topic), {}
    for _, key in ipairs(keys) do
      if not asked[key] and redis.call('HEXISTS', held, key) == 0 then
        local first = in_lane(topic, key, 0)
        if first then
          push(lanes, first)
        end
      end
      asked[key] = true
    end
  else
    local found, ids = redis.call('ZRANGE', name('ready', topic), 0, count - 1, 'WITHSCORES'), {}
    for at = 1, #found, 2 do
      local one = entry(found[at], found[at + 1], false, 0)
      front[#front + 1] = one
      ids[#ids + 1] = one.id
    end
    for at, packed in ipairs(all_of(name('meta', topic), ids)) do
      front[at].meta = cmsgpack.unpack(packed)
      front[at].key = front[at].meta[1]
    end
  end
  local taken, at = {}, 1
  while #taken < count and (front[at] or lanes[1]) do
    local best
    if lanes[1] and not (front[at] and before(front[at], lanes[1])) then
      best = pop(lanes)
    else
      best, at = front[at], at + 1
    end
    taken[#taken + 1] = best
    local next_one = best.key and in_lane(topic, best.key, best.rank + 1)
    if next_one then
      push(lanes, next_one)
    end
  end
  return taken
end

local function lease(topic, count)
  local taken = take(topic, count)
  if #taken == 0 then
    return
  end
  local ids, metas, gone, kept, until_then, of_key = {}, {}, {}, {}, {}, {}
  for at, one in ipairs(taken) do
    ids[at] = one.id
  end
  local packed = all_of(name('meta', topic), ids)
  for at, one in ipairs(taken) do
    local meta = one.meta or cmsgpack.unpack(packed[at])
    metas[at] = meta
    meta[7] = nonce .. #leases
    leases[#leases + 1] = { topic, one.id, meta[7] }
    kept[#kept + 1], kept[#kept + 2] = one.id, cmsgpack.pack(meta)
    until_then[#until_then + 1], until_then[#until_then + 2] = now + lease_us, one.id
    if one.rank == 0 then
      gone[#gone + 1] = one.member
    end
    if one.key then
      of_key[one.key] = (of_key[one.key] or 0) + 1
    end
  end
  bulk('ZREM', name('ready', topic), gone)
  bulk('HSET', name('meta', topic), kept)
  bulk('ZADD', name('leased', topic), until_then)
  for key, number in pairs(of_key) do
    redis.call('ZREMRANGEBYRANK', lane_of(topic, key), 0, number - 1)
    redis.call('HSET', name('held', topic), key, number)
  end
  hand_out(topic, ids, metas)
end

local topics = { topic }
if below then
  -- The name ends in '/'; the character behind that is '0'.
  topics = redis.call('ZRANGEBYLEX', P .. ':topics', '[' .. topic, '(' .. topic:sub(1, -2) .. '0')
end
for at = 0, #topics - 1 do
  if #leases >= limit then
    break
  end
  local one = topics[(turn + at) % #topics + 1]
  refresh(one)
  lease(one, limit - #leases)
end

if #leases > 0 then
  remember(consumer, slot, nonce, leases)
else
  local next_one
  for _, one in ipairs(topics) do
    for _, part in ipairs({ 'delayed', 'leased' }) do
      local first = redis.call('ZRANGE', name(part, one), 0, 0, 'WITHSCORES')[2]
      if first and not (next_one and next_one <= tonumber(first)) then
        next_one = tonumber(first)
      end
    end
  end
  answer[1] = next_one and math.max(0, next_one - now) or -1
end
wake()
return answer
