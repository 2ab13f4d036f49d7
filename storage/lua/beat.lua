#!lua flags=allow-oom
-- A node lives. Takes: {owner, running, {number of an order that is carried out, ...}}.
-- Answers {code, {number, order, ...}, now}; beside it k_live is read, the beats of all that live.
-- uses: lib, lib_member
local owner = items[1]
local key = prefix .. 'member:' .. owner
if not live(owner) then return { 'fenced' } end
local beats = call('HINCRBY', key, 'beat', 1)
call('HSET', key, 'seen', now, 'running', items[2])
call('HSET', k_live, owner, beats)
for _, number in ipairs(items[3]) do call('HDEL', prefix .. 'orders:' .. owner, number) end
return { 'ok', call('HGETALL', prefix .. 'orders:' .. owner), now }
