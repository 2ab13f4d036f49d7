#!lua flags=allow-oom
-- Dead and cancelled tasks start anew, with all budgets. Takes: {{id, op}, ...}. Answers {code, task} each.
-- uses: lib, lib_index, lib_task
return operate('DX', function(t, item)
  local changes = { st = 'P', gen = (t.gen or 1) + 1, el = now, due = now }
  for _, field in ipairs({ 'att', 'left', 'cr', 'solo', 'fin', 'pro', 'err', 'msg', 'cau' }) do changes[field] = false end
  changes.beg = t.fe and '' -- it has a fence, and yet no start
  if t.exp and t.exp + 0 <= clock then changes.exp = false end
  return shown(change(t, note(changes, item[2])))
end)
