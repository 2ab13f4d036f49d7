#!lua flags=no-writes
-- Takes: {owner}. Answers {id, fence, ...} of what it holds.
-- uses: lib
local held = {}
for _, entry in ipairs(call('ZRANGE', prefix .. 'run:' .. items[1], 0, -1)) do
  local id, fence = string.match(entry, '^([^/]*)/(%d+)/')
  if id then held[#held + 1], held[#held + 2] = id, fence end
end
return held
