#!lua flags=allow-oom
-- Become or stay leader. Takes: {owner, epoch, beat}. Answers {code, {owner or false, epoch, beat}}. `led` in the meta hash
-- is the last epoch: none comes again, also where the term itself is gone or is none.
-- uses: lib, lib_member
local owner, t = items[1], term()
local new
if live(owner) then
  if t[1] == owner and t[2] == items[2] then
    new = { owner, t[2], t[3] + 1 }
  elseif t[2] == items[2] and t[3] == items[3] then
    new = { owner, math.max(t[2], tonumber(call('HGET', k_meta, 'led') or 0) or 0) + 1, 1 }
    call('HSET', k_meta, 'led', new[2])
    if call('TYPE', k_term).ok ~= 'hash' then call('UNLINK', k_term) end
  end
end
if not new then return answer({ 'refused', t }) end
call('HSET', k_term, 'owner', owner, 'epoch', new[2], 'beat', new[3])
return answer({ 'ok', new })
