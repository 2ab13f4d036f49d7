#!lua flags=allow-oom
-- Tell a node to stop claiming, or to go on. Takes: {node, on}. Answers {code}.
-- uses: lib, lib_member
local owner = call('HGET', k_nodes, items[1])
if not owner then return answer({ 'not-found' }) end
if items[2] then
  call('HSET', prefix .. 'member:' .. owner, 'draining', '1')
else
  call('HDEL', prefix .. 'member:' .. owner, 'draining')
end
order(owner, items[2] and 'drain' or 'undrain')
return answer({ 'ok' })
