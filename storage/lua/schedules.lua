#!lua flags=no-writes
-- Takes: {id} or {}: all. Answers {id, fields} of every schedule that there is.
-- uses: lib
local schedules = {}
for n, id in ipairs(items[1] and items or call('SMEMBERS', k_schedules)) do
  schedules[n] = { id, call('HGETALL', prefix .. 'schedule:' .. id) }
end
return schedules
