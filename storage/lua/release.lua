#!lua flags=allow-oom
-- Owners give tasks back, uncharged. Takes: {{id, op, owner, fence}, ...}. Answers {code, state} each.
-- uses: lib, lib_index, lib_task
local answers = {}
for n, item in ipairs(items) do
  local t, refused = held(item)
  answers[n] = refused or { 'ok', change(t, note(released(t), item[2])).st }
end
settle()
return answers
