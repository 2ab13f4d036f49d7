#!lua
-- Add to the counts of a minute. Takes: {minute, {name, count, ...}, {name, gauge, ...}}. Answers {code}.
-- uses: lib
local minute = text(items[1])
local key = prefix .. 'tally:' .. minute
local details = false
for n = 1, #items[2], 2 do
  call('HINCRBY', key, items[2][n], items[2][n + 1])
  details = details or string.find(items[2][n], '@', 1, true)
end
for n = 1, #items[3], 2 do
  call('HSET', key, items[3][n], items[3][n + 1])
  details = details or string.find(items[3][n], '@', 1, true)
end
if items[2][1] or items[3][1] then call('ZADD', k_tallies, minute, minute) end
if details then call('ZADD', k_details, minute, minute) end
return answer({ 'ok' })
