#!lua flags=allow-oom
-- Handlers returned. Takes: {{id, op, owner, fence, result}, ...}; `result` is its place in ARGV, or false.
-- Answers {code, state, code, state, ...}. The attempt is not put into the history: a completed task's last one is plain.
-- uses: lib, lib_index, lib_task
local answers, ends, lanes = {}, {}, {}
local function say(n, code, state) answers[2 * n - 1], answers[2 * n] = code, state or false end
for n, item in ipairs(items) do
  local id, op, owner = item[1], item[2], item[3]
  local key = prefix .. 'task:' .. id
  local t = call('HMGET', key, 'st', 'own', 'fe', 'ln', 'no', 'odd')
  local lane = t[4]
  local good = t[1] == 'R' and t[2] == owner and t[3] == item[4] and lane and not fenced(owner)
  local rare
  if not good or t[6] then
    rare = call('HMGET', key, 'op', 'keep', 'err', 'solo', 'sch')
    if not t[1] or not lane then
      good = false
      say(n, 'not-found')
    elseif op ~= '' and rare[1] == op then
      good = false
      say(n, 'dup', t[1])
    elseif not good then
      say(n, 'stale', t[1])
    end
  end
  if good then
    say(n, 'ok', 'C')
    local result = item[5] and not (rare and rare[2]) and ARGV[item[5]]
    local far = result and #result > 64
    if far then call('SET', prefix .. 'result:' .. id, result) end
    local field = far and 'far' or 'out'
    if op == '' then
      if result then
        call('HSET', key, 'st', 'C', 'fin', now, field, far and '1' or result)
      else
        call('HSET', key, 'st', 'C', 'fin', now)
      end
    elseif result then
      call('HSET', key, 'st', 'C', 'fin', now, 'op', op, field, far and '1' or result)
    else
      call('HSET', key, 'st', 'C', 'fin', now, 'op', op)
    end
    if rare then
      if rare[3] or rare[4] then call('HDEL', key, 'err', 'msg', 'cau', 'solo') end
      if rare[5] then leave(prefix .. 'busy:' .. rare[5], id) end
    end
    local mine = owners[owner]
    if not mine then
      mine = {}
      owners[owner] = mine
      gone[prefix .. 'run:' .. owner] = mine
    end
    mine[#mine + 1] = id
    local at = #ends
    ends[at + 1], ends[at + 2] = now, id
    local list = lanes[lane]
    if not list then
      list = {}
      lanes[lane] = list
      come[prefix .. 'list:C/' .. lane] = list
    end
    at = #list
    list[at + 1], list[at + 2] = t[5], id
  end
end
if ends[1] then come[prefix .. 'done:C'] = ends end
for lane, list in pairs(lanes) do
  count('R', lane, -#list / 2)
  count('C', lane, #list / 2)
end
settle()
return answers
