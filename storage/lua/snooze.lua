#!lua flags=allow-oom
-- Handlers ask to run again later, uncharged. Takes: {{id, op, owner, fence, delay}, ...}. Answers {code, state} each.
-- uses: lib, lib_index, lib_task
local answers = {}
for n, item in ipairs(items) do
  local t, refused = held(item)
  answers[n] = refused
  if t then
    local changes, due = ended(t, 's'), text(clock + item[5])
    changes.st, changes.att, changes.el, changes.due = 'P', uncharged(t), due, due
    changes.del, changes.cr, changes.solo = item[5] > 0 and '1', false, false
    answers[n] = { 'ok', change(t, note(changes, item[2])).st }
  end
end
settle()
return answers
