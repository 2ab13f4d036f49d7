#!lua flags=allow-oom
-- An operator changes waiting tasks. Takes: {{id, op, {priority, run_at, expires_at, tags}}, ...}: only what is set;
-- `run_at` false: now; `expires_at` false: never. Answers {code, task} each.
-- uses: lib, lib_index, lib_task
return operate('PF', function(t, item)
  local wish, changes = item[3], {}
  if wish.priority then changes.pri = wish.priority end
  if wish.tags then changes.tag = wish.tags ~= '' and wish.tags end
  if wish.expires_at ~= nil then changes.exp = wish.expires_at and text(wish.expires_at) end
  if wish.run_at ~= nil then
    local due = math.max(clock, wish.run_at or 0)
    if t.st == 'F' then -- it stays failed until it is promoted, and keeps its rank
      changes.due, changes.del = text(due), '1'
    elseif due > clock or tonumber(t.due or t.el or t.at) > clock then -- who may run already keeps its place in line
      changes.due, changes.del, changes.el = text(due), due > clock and '1', text(math.max(t.at, due))
    end
  end
  return shown(change(t, note(changes, item[2])))
end)
