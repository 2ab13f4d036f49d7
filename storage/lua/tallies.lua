#!lua flags=no-writes
-- Takes: {moment}. Answers {minute, {name, count, ...}} for each minute from then on.
-- uses: lib
local tallies = {}
for n, minute in ipairs(call('ZRANGE', k_tallies, items[1], '+inf', 'BYSCORE')) do
  tallies[n] = { minute, call('HGETALL', prefix .. 'tally:' .. minute) }
end
return tallies
