#!lua flags=allow-oom
-- Tasks are not wanted any more; who runs one is told by an order. Takes: {{id, op}, ...}.
-- Answers {code, task} each.
-- uses: lib, lib_index, lib_task, lib_member
return operate('PFR', function(t, item)
  local changes = {}
  if t.st == 'R' then
    changes = ended(t, 'k')
    changes.att = uncharged(t)
    if live(t.own) then order(t.own, 'cancel ' .. t.id .. ' ' .. t.fe) end
  end
  changes.st, changes.del, changes.fin = 'X', false, now
  return shown(change(t, note(changes, item[2])))
end)
