-- What waits on a topic: {messages, delayed, leased, weight}. Times that have come count as such, noted or not.

local topic = arg()
local function later(part)
  return redis.call('ZCOUNT', name(part, topic), '(' .. string.format('%.0f', now), '+inf')
end
local weight = redis.call('HGET', P .. ':weights', topic)
return { redis.call('HLEN', name('meta', topic)), later('delayed'), later('leased'), tonumber(weight or 0) }
