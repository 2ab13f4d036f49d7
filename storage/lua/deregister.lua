#!lua flags=allow-oom
-- A node leaves, or a lease is over. Takes: {owner, trace}: without it a lease leaves none. Answers {code}.
-- uses: lib, lib_member
local owner = items[1]
local state = call('HMGET', prefix .. 'member:' .. owner, 'node', 'gone', 'fenced', 'ttl')
if not state[1] or state[3] then return answer({ 'fenced' }) end
if call('EXISTS', prefix .. 'run:' .. owner) == 1 then return answer({ 'refused' }) end
if not state[2] and state[4] and not items[2] then
  call('UNLINK', prefix .. 'member:' .. owner)
  call('SREM', k_leases, owner)
elseif not state[2] then
  depart(owner, 'running', 0)
end
return answer({ 'ok' })
