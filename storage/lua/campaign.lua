#!lua flags=allow-oom
-- Become or stay leader. Takes: {owner, epoch, beat}. Answers {code, {owner or false, epoch, beat}}.
-- uses: lib, lib_member
local owner, t = items[1], term()
local new
if live(owner) then
  if t[1] == owner and t[2] == items[2] then
    new = { owner, t[2], t[3] + 1 }
  elseif t[2] == items[2] and t[3] == items[3] then
    new = { owner, t[2] + 1, 1 }
  end
end
if not new then return answer({ 'refused', t }) end
call('HSET', k_term, 'owner', owner, 'epoch', new[2], 'beat', new[3])
return answer({ 'ok', new })
