-- All that changes: objects put, state compared and set, deliveries settled, messages published, objects deleted, in
-- this order. All of it, or, where a version or a lease is not what was expected, nothing.
--
-- Returns {0, the nonce, which is the version of all states}, {1, the state's key} or {2, topic, id}.

local consumer, slot, nonce, again = arg(), arg(), arg(), arg()
if again == '1' and remembered(consumer, slot, nonce) then
  return { 0, nonce }
end

local function list(fields)
  local items = {}
  for at = 1, tonumber(arg()) do
    local item = {}
    for field = 1, fields do
      item[field] = arg()
    end
    items[at] = item
  end
  return items
end

local puts = list(2) -- name, data
local states = list(3) -- key, version that is expected or '', data
local settled = list(6) -- topic, id, receipt, how, delay, error
local handed_back = list(3) -- topic, id, receipt
local published = list(5) -- topic, id, key behind '=' or '', numbers or '', body
local deleted = list(1) -- name

local written = {}
for _, state in ipairs(states) do
  local key = state[1]
  if written[key] or redis.call('GETRANGE', name('state', key), 0, 31) ~= state[2] then
    return { 1, key }
  end
  written[key] = true
end
local metas, lost = leased_by(settled)
if not metas then
  return { 2, lost[1], lost[2] }
end

-- The first write decides: a server without memory refuses it where the commit adds something, and nothing after it.
if #puts + #states + #published == 0 then
  make_way()
end
remember(consumer, slot, nonce, true)

for _, put in ipairs(puts) do
  redis.call('SET', name('object', put[1]), put[2])
  redis.call('ZADD', P .. ':objects', 0, put[1])
end
for _, state in ipairs(states) do
  redis.call('SET', name('state', state[1]), nonce .. state[3])
  redis.call('ZADD', P .. ':states', 0, state[1])
end

-- Settling goes by topic, with few calls each.
local topics = {}
local function of(topic)
  local work = topics[topic]
  if not work then
    work = { ended = {}, gone = {}, weight = 0, keys = {}, placed = {} }
    topics[topic] = work
  end
  return work
end
local function end_lease(topic, id, meta)
  local work = of(topic)
  work.ended[#work.ended + 1] = id
  if meta[1] then
    work.keys[meta[1]] = (work.keys[meta[1]] or 0) + 1
  end
  return work
end

local number = #settled > 0 and numbers(#settled)
for at, settlement in ipairs(settled) do
  local topic, id, how, meta = settlement[1], settlement[2], settlement[4], metas[at]
  local work = end_lease(topic, id, meta)
  if how == 'again' or how == 'uncharged' then
    meta[4] = meta[4] + (how == 'again' and 1 or 0)
    meta[5], meta[6], meta[7] = now + tonumber(settlement[5]), number + at, false
    work.placed[#work.placed + 1] = { id, meta }
  else
    if how == 'dead' then
      bury(topic, id, meta, settlement[6], #work.gone)
    end
    work.gone[#work.gone + 1] = id
    work.weight = work.weight + meta[3]
  end
end
for _, delivery in ipairs(handed_back) do
  local held = leased_by({ delivery })
  if held then
    held[1][7] = false
    local work = end_lease(delivery[1], delivery[2], held[1])
    work.placed[#work.placed + 1] = { delivery[2], held[1] }
  end
end
for topic, work in pairs(topics) do
  bulk('ZREM', name('leased', topic), work.ended)
  bulk('HDEL', name('meta', topic), work.gone)
  bulk('HDEL', name('body', topic), work.gone)
  for _, back in ipairs(work.placed) do
    redis.call('HSET', name('meta', topic), back[1], cmsgpack.pack(back[2]))
    place(topic, back[1], back[2])
  end
  for key, count in pairs(work.keys) do
    let_go(topic, key, count)
  end
  if #work.gone > 0 then
    weigh(topic, -work.weight)
  end
end

if #published > 0 then
  local messages = {}
  for at, message in ipairs(published) do
    local priority, weight, attempt, due = 0, 1, 0, 0
    if message[4] ~= '' then
      priority, weight, attempt, due = struct.unpack('>i8i8i8i8', message[4])
    end
    local key = message[3] ~= '' and message[3]:sub(2)
    messages[at] = { message[1], message[2], message[5], { key, priority, weight, attempt, due } }
  end
  publish(messages)
end
for topic in pairs(topics) do
  tidy(topic)
end

for _, object in ipairs(deleted) do
  redis.call('UNLINK', name('object', object[1]))
  redis.call('ZREM', P .. ':objects', object[1])
end
wake()
return { 0, nonce }
