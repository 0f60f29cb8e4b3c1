-- Publish up to `limit` of a topic's dead letters again, in the order in which they were given up; how many there were.

local consumer, slot, nonce, again = arg(), arg(), arg(), arg()
local topic, limit = arg(), tonumber(arg())
if again == '1' then
  local count = remembered(consumer, slot, nonce)
  if count then
    return count
  end
end
local dead, letters = name('dead', topic), name('letters', topic)
local ids = redis.call('ZRANGE', dead, 0, limit - 1)
if #ids == 0 then
  return 0
end
remember(consumer, slot, nonce, #ids)
local messages = {}
for at, packed in ipairs(all_of(letters, ids)) do
  local letter = cmsgpack.unpack(packed)
  messages[at] = { topic, ids[at], letter[5], { letter[1], letter[2], letter[3], 0, 0 } }
end
publish(messages)
bulk('ZREM', dead, ids)
bulk('HDEL', letters, ids)
wake()
return #ids
