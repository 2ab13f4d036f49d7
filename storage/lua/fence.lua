#!lua flags=allow-oom
-- Declare an incarnation dead. Takes: {leader, epoch, owner, beat}. Answers {code}.
-- uses: lib, lib_member
if deposed() then return answer({ 'deposed' }) end
local owner = items[3]
local state = call('HMGET', prefix .. 'member:' .. owner, 'node', 'fenced', 'beat')
if not state[1] then return answer({ 'not-found' }) end
if state[2] then return answer({ 'ok' }) end
if tonumber(state[3]) ~= items[4] then return answer({ 'stale' }) end
depart(owner, 'fenced', '1')
return answer({ 'ok' })
