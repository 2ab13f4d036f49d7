#!lua flags=allow-oom
-- Handlers failed. Takes: {{id, op, owner, fence, type, message, cause, delay, final}, ...}. Answers {code, state} each.
-- uses: lib, lib_index, lib_task
local answers = {}
for n, item in ipairs(items) do
  local t, refused = held(item)
  answers[n] = refused
  if t then
    local type, message, cause = item[5], item[6], item[7]
    local changes = ended(t, cause == 'timeout' and 't' or 'f', type, message, cause)
    changes.err, changes.msg, changes.cau = type, message, cause
    local left = tonumber(t.left or t.ret)
    if item[9] or left == 0 then
      changes.st, changes.fin = 'D', now
    else
      changes.st, changes.left, changes.due, changes.del = 'F', left - 1, text(clock + item[8]), '1'
    end
    answers[n] = { 'ok', change(t, note(changes, item[2])).st }
  end
end
settle()
return answers
