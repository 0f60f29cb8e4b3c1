-- Hold leases until so many microseconds from now. Returns {0} or {2, topic, id}, with nothing extended.

local lease_us = tonumber(arg())
local deliveries = {}
while read < #ARGV do
  deliveries[#deliveries + 1] = { arg(), arg(), arg() }
end
local metas, lost = leased_by(deliveries)
if not metas then
  return { 2, lost[1], lost[2] }
end
make_way()
for _, delivery in ipairs(deliveries) do
  redis.call('ZADD', name('leased', delivery[1]), now + lease_us, delivery[2])
end
return { 0 }
