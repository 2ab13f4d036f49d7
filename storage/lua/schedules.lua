#!lua flags=no-writes
-- Takes: {id} or {}: all. Answers {id, fields} of every schedule that there is.
-- uses: lib
-- One that is no hash, since somebody has edited it, is answered as if it were not there.
local schedules = {}
for n, id in ipairs(items[1] and items or call('SMEMBERS', k_schedules)) do
  local fields = redis.pcall('HGETALL', prefix .. 'schedule:' .. id)
  schedules[n] = { id, fields.err and {} or fields }
end
return schedules
