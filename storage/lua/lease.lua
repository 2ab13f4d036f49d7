#!lua flags=allow-oom
-- A worker from outside begins a lease, or goes on with it. Takes: {owner, node, ttl}. Answers {code}.
-- uses: lib
local owner = items[1]
local key = prefix .. 'member:' .. owner
local known = call('HMGET', key, 'node', 'gone', 'ttl')
if known[2] then return { 'fenced' } end
if known[1] and not known[3] then return { 'refused' } end
if not known[1] then
  call('HSET', key, 'beg', now)
  call('SADD', k_leases, owner)
end
call('HSET', key, 'node', items[2], 'ttl', items[3], 'seen', now)
call('HINCRBY', key, 'beat', 1)
return { 'ok' }
