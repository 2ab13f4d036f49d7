#!lua flags=allow-oom
-- What running handlers say of themselves. Takes: {{id, op, owner, fence, fraction, note}, ...}. Answers {code, state}.
-- uses: lib, lib_index, lib_task
local answers = {}
for n, item in ipairs(items) do
  local t, refused = held(item)
  answers[n] = refused
  if t then
    local changes = note({ pro = cmsgpack.pack({ item[5], item[6], clock }) }, item[2])
    answers[n] = { 'ok', change(t, changes).st }
  end
end
settle()
return answers
