-- Put an object whose name is not taken: 1; or 0, and nothing written, where it is.

local consumer, slot, nonce, again = arg(), arg(), arg(), arg()
local object, data = arg(), arg()
if again == '1' and remembered(consumer, slot, nonce) then
  return 1
end
if redis.call('EXISTS', name('object', object)) == 1 then
  return 0
end
remember(consumer, slot, nonce, true)
redis.call('SET', name('object', object), data)
redis.call('ZADD', P .. ':objects', 0, object)
return 1
