#!lua flags=no-writes
-- Answers {owner, fields} of every incarnation, oldest first.
-- uses: lib
-- What is no hash, since somebody has edited it, is nobody's.
local members = {}
for _, owner in ipairs(call('ZRANGE', k_members, 0, -1)) do
  local fields = redis.pcall('HGETALL', prefix .. 'member:' .. owner)
  if not fields.err then members[#members + 1] = { owner, fields } end
end
return members
