#!lua flags=allow-oom
-- Give up tasks that were just handed out and are not what was stored: as if they had never been handed out.
-- Takes: {{id, owner, fence, fence before or false, attempt before, start before or false, node before, request before,
-- place of the progress before in ARGV, what cannot be read, {fields that cannot be read ...}}, ...}; each false where
-- there was none. Answers how many.
-- uses: lib, lib_index, lib_task
local done = 0
for _, item in ipairs(items) do
  local t = load(item[1])
  if t and t.st == 'R' and t.own == item[2] and t.fe == item[3] then
    local changes = {
      st = 'D', fin = now, fe = item[4], att = item[5], beg = item[6], nod = item[7], req = item[8],
      pro = item[9] and ARGV[item[9]],
      err = 'PayloadCorrupt', msg = 'the payload is not what was submitted (checksum differs)', cau = 'corrupt',
    }
    if item[10] then changes.err, changes.msg = 'RecordCorrupt', 'what is stored of it cannot be read: ' .. item[10] end
    for _, field in ipairs(item[11]) do
      if changes[field] == nil then changes[field] = false end
    end
    change(t, changes)
    done = done + 1
  end
end
settle()
return done
