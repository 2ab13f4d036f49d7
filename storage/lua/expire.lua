#!lua flags=allow-oom
-- Dead-letter waiting tasks whose time is over. Takes: {leader, epoch, limit}.
-- Answers {code, how many, ids, may be more}.
-- uses: lib, lib_index, lib_task, lib_member
if deposed() then return answer({ 'deposed' }) end
local limit = items[3]
local over, ids = call('ZRANGE', k_expiry, '-inf', clock, 'BYSCORE', 'LIMIT', 0, limit + 1), {}
for n, id in ipairs(over) do
  if n > limit then break end
  local t = load(id)
  if t and (t.st == 'P' or t.st == 'F') then
    expire(t)
    ids[#ids + 1] = id
  else
    leave(k_expiry, id)
    call('HINCRBY', k_meta, 'limbo', 1)
  end
end
settle()
return answer({ 'ok', #ids, ids, #over > limit })
