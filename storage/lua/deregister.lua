#!lua flags=allow-oom
-- A node leaves. Takes: {owner}. Answers {code}.
-- uses: lib, lib_member
local owner = items[1]
local state = call('HMGET', prefix .. 'member:' .. owner, 'node', 'gone', 'fenced')
if not state[1] or state[3] then return answer({ 'fenced' }) end
if call('EXISTS', prefix .. 'run:' .. owner) == 1 then return answer({ 'refused' }) end
if not state[2] then depart(owner, 'running', 0) end
return answer({ 'ok' })
