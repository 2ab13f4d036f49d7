#!lua flags=no-writes
-- Answers {owner, fields} of every incarnation, oldest first.
-- uses: lib
local members = {}
for n, owner in ipairs(call('ZRANGE', k_members, 0, -1)) do
  members[n] = { owner, call('HGETALL', prefix .. 'member:' .. owner) }
end
return members
