#!lua flags=no-writes
-- Takes: {id, ...}. Answers the state of each, or false.
-- uses: lib
local states = {}
for n, id in ipairs(items) do
  local t = call('HMGET', prefix .. 'task:' .. id, 'st', 'ln')
  local there = t[2] or call('EXISTS', prefix .. 'born:' .. id) == 1
  states[n] = there and (t[1] or 'P')
end
return states
