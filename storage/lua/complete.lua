#!lua flags=allow-oom
-- Handlers returned. Takes: {{id, op, owner, fence, result}, ...}; `result` is its place in ARGV, or false.
-- Answers {code, state} for each.
-- uses: lib, lib_index, lib_task
local answers = {}
for n, item in ipairs(items) do
  local id, op, owner = item[1], item[2], item[3]
  local key = prefix .. 'task:' .. id
  local t = call('HMGET', key, 'st', 'own', 'fe', 'op', 'ln', 'no', 'keep', 'att', 'gen', 'nod', 'beg', 'his', 'err',
    'solo', 'sch')
  local lane = t[5]
  if not t[1] or not lane then
    answers[n] = { 'not-found' }
  elseif op ~= '' and t[4] == op then
    answers[n] = { 'dup', t[1] }
  elseif t[1] ~= 'R' or t[2] ~= owner or t[3] ~= item[4] or fenced(owner) then
    answers[n] = { 'stale', t[1] }
  else
    local entry = { tonumber(t[8]), tonumber(t[9] or 1), t[10], tonumber(t[11]), clock, 'c' }
    local set = { 'st', 'C', 'fin', now, 'his', longer(t[12] or nil, entry) }
    if op ~= '' then set[7], set[8] = 'op', op end
    local result = item[5] and t[7] ~= '0' and ARGV[item[5]]
    if result then
      local at = #set
      if #result <= 64 then
        set[at + 1], set[at + 2] = 'out', result
      else
        call('SET', prefix .. 'result:' .. id, result)
        set[at + 1], set[at + 2] = 'far', '1'
      end
    end
    call('HSET', key, unpack(set))
    if t[13] or t[14] then call('HDEL', key, 'err', 'msg', 'cau', 'solo') end
    leave(prefix .. 'run:' .. owner, id)
    owners[owner] = true
    enter(prefix .. 'done:C', now, id)
    enter(prefix .. 'list:C/' .. lane, t[6], id)
    if t[15] then leave(prefix .. 'busy:' .. t[15], id) end
    count('R', lane, -1)
    count('C', lane, 1)
    answers[n] = { 'ok', 'C' }
  end
end
settle()
return answers
