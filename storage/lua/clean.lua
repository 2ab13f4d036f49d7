#!lua flags=allow-oom
-- Delete keys of this namespace, unless a node lives. Takes: {{key, ...}, microseconds that a node may be silent,
-- {owner, beats, ...} of those that stood still}. Answers the name of a node that may live, or false.
-- uses: lib
local still = {}
for n = 1, #items[3], 2 do still[items[3][n]] = items[3][n + 1] end
local beats = call('HGETALL', k_live)
for n = 1, #beats, 2 do
  local state = call('HMGET', prefix .. 'member:' .. beats[n], 'node', 'seen')
  local silent = clock - (tonumber(state[2] or 0) or 0) >= items[2]
  if state[1] and not silent and still[beats[n]] ~= beats[n + 1] then return state[1] end
end
for _, key in ipairs(items[1]) do
  if string.sub(key, 1, #prefix) == prefix then call('UNLINK', key) end
end
return false
