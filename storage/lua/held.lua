#!lua flags=no-writes
-- Takes: {owner}. Answers {id, fence, ...} of what it holds.
-- uses: lib
local held = {}
for _, id in ipairs(call('ZRANGE', prefix .. 'run:' .. items[1], 0, -1)) do
  held[#held + 1] = id
  held[#held + 1] = call('HGET', prefix .. 'task:' .. id, 'fe') or '0'
end
return held
