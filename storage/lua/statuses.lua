#!lua flags=no-writes
-- Takes: {id, ...}. Answers the state of each, or false.
-- uses: lib
local states = {}
for n, id in ipairs(items) do
  local state = call('HGET', prefix .. 'task:' .. id, 'st')
  states[n] = state or (call('EXISTS', prefix .. 'born:' .. id) == 1 and 'P')
end
return states
