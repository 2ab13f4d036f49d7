#!lua flags=no-writes
-- Takes: {id, ...}. Answers the state of each, or false.
-- uses: lib
local states = {}
for n, id in ipairs(items) do states[n] = call('HGET', prefix .. 'task:' .. id, 'st') end
return states
