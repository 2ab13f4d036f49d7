#!lua flags=allow-oom
-- A node starts. Takes: {owner, node, alone, {field, value, ...}, other or false, beat}: what it says of itself, and the
-- incarnation that it takes the name from. Answers {code}.
-- uses: lib, lib_member
local owner, node = items[1], items[2]
local key = prefix .. 'member:' .. owner
if items[3] then
  for _, other in ipairs(call('HKEYS', k_live)) do
    if other ~= owner then depart(other, 'fenced', '1') end
  end
end
local known = call('HMGET', key, 'node', 'gone')
if known[2] then return answer({ 'fenced' }) end
local holder = call('HGET', k_nodes, node)
if holder and holder ~= owner and holder == items[5] and tonumber(call('HGET', prefix .. 'member:' .. holder, 'beat')) == items[6] then
  depart(holder, 'fenced', '1')
  holder = false
end
if holder and holder ~= owner then return answer({ 'refused' }) end
if known[1] and known[1] ~= node and call('HGET', k_nodes, known[1]) == owner then call('HDEL', k_nodes, known[1]) end
if not known[1] then
  call('HSET', key, 'beg', now, 'beat', 0, 'seen', now, 'running', 0)
  call('HSET', k_live, owner, 0)
  call('ZADD', k_members, call('HINCRBY', k_meta, 'joined', 1), owner)
end
call('HSET', key, 'node', node, unpack(items[4]))
call('HSET', k_nodes, node, owner)
return answer({ 'ok' })
