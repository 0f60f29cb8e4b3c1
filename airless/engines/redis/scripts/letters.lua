-- Up to `limit` of a topic's dead letters: of each its id, its error, and its key behind '=' or ''.

local topic, limit = arg(), tonumber(arg())
local ids, answer = redis.call('ZRANGE', name('dead', topic), 0, limit - 1), {}
for at, packed in ipairs(all_of(name('letters', topic), ids)) do
  local letter = cmsgpack.unpack(packed)
  local key = letter[1] and ('=' .. letter[1]) or ''
  answer[#answer + 1], answer[#answer + 2], answer[#answer + 3] = ids[at], letter[4], key
end
return answer
