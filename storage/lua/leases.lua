#!lua flags=no-writes
-- Answers {owner, node, ttl, beats, fenced or nothing} of every lease that is not over, or was fenced.
-- uses: lib
-- What is no hash, since somebody has edited it, is nobody's.
local found = {}
for _, owner in ipairs(call('SMEMBERS', k_leases)) do
  local one = redis.pcall('HMGET', prefix .. 'member:' .. owner, 'node', 'ttl', 'beat', 'fenced')
  if one[2] then found[#found + 1] = { owner, one[1], one[2], one[3], one[4] } end
end
return found
