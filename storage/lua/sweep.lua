#!lua flags=allow-oom
-- Look for limbo and repair it: tasks of owners that nobody knows, counts that are off, entries of indexes without a
-- task, tasks that are missing in an index. Takes: {leader, epoch, limit}.
-- Answers {code, how many repairs, {}, may be more}. What is in the lists of states is looked at piece by piece, call by
-- call, and so is what is stored of tasks at all; `swept` and `scanned` in the meta hash say how far it came.
-- uses: lib, lib_index, lib_task, lib_lost, lib_member
if deposed() then return answer({ 'deposed' }) end
local limit, repairs, more = items[3], 0, false
local running = {}

-- A task. Nil where there is none, or keys of another kind, since somebody edited them; and where only a part of it is
-- left, which goes, too: that is said.
local function stored(id)
  local key, text = prefix .. 'task:' .. id, prefix .. 'born:' .. id
  local hash, birth = call('TYPE', key).ok, call('TYPE', text).ok
  if (hash ~= 'hash' and hash ~= 'none') or (birth ~= 'string' and birth ~= 'none') then return nil end
  local t = load(id)
  if t and lost(t) then
    forget(t)
    return nil, true
  end
  if t or (hash == 'none') == (birth == 'none') then return t end
  local mark = birth == 'string' and string.match(call('GET', text), HEAD)
  if birth == 'none' and call('HEXISTS', key, 'ln') == 0 or mark and MARKS[mark][2] then
    call('UNLINK', key, text, prefix .. 'body:' .. id, prefix .. 'result:' .. id)
    return nil, true
  end
end

for _, owner in ipairs(call('SMEMBERS', k_owners)) do
  local state = call('HMGET', prefix .. 'member:' .. owner, 'node', 'gone', 'fenced')
  local unknown = not state[1] or (state[2] and not state[3])
  for _, entry in ipairs(call('ZRANGE', prefix .. 'run:' .. owner, 0, -1)) do
    local id = id_of(entry)
    local t = stored(id)
    local its = t and t.st == 'R' and t.own == owner
    local right = its and held_as(id, t.fe, t.ln)
    if its and right ~= entry and call('ZSCORE', prefix .. 'run:' .. owner, right) then
      its = false -- it stands here as it should, too
    elseif its and not unknown and right ~= entry then
      leave(prefix .. 'run:' .. owner, entry)
      enter(prefix .. 'run:' .. owner, t.no, right)
      repairs = repairs + 1
    end
    if not its then
      leave(prefix .. 'run:' .. owner, entry)
      owners[owner] = true
      repairs = repairs + 1
    elseif unknown and repairs < limit then
      change(t, released(t))
      repairs = repairs + 1
    else
      more = more or unknown
      running[t.ln] = (running[t.ln] or 0) + 1
    end
  end
end
settle()

-- What is stored of tasks, wherever they stand: the sets of their owners and the lists tell nothing of one that is in
-- neither.
local scanned = string.match(call('HGET', k_meta, 'scanned') or '', '^%d+$') or '0'
local found, seen = call('SCAN', scanned, 'MATCH', prefix .. '[bt][oa][rs][nk]:*', 'COUNT', limit), {}
for _, key in ipairs(found[2]) do
  local id = string.sub(key, #prefix + 6)
  local t, half, missing, run
  if not seen[id] then t, half = stored(id) end
  seen[id] = true
  if t then missing, run = mend(t) end
  if missing or half then repairs = repairs + 1 end
  if run then running[t.ln] = (running[t.ln] or 0) + 1 end
end
call('HSET', k_meta, 'scanned', found[1])
settle()

local swept = call('HGET', k_meta, 'swept') or ''
local next_list, after = string.match(swept, '^(.*) (%d+)$')
local lists = {}
for _, lane in ipairs(call('SMEMBERS', k_lanes)) do
  for _, state in ipairs({ 'P', 'F', 'C', 'D', 'X' }) do
    if call('EXISTS', prefix .. 'list:' .. state .. '/' .. lane) == 1 then lists[#lists + 1] = state .. '/' .. lane end
  end
end
table.sort(lists)
local at = 1
while next_list and lists[at] and lists[at] < next_list do at = at + 1 end
if lists[at] ~= next_list then after = 0 end
local looked = 0
swept = false
while lists[at] and not swept do
  local key = prefix .. 'list:' .. lists[at]
  local page = call('ZRANGE', key, '(' .. after, '+inf', 'BYSCORE', 'LIMIT', 0, limit - looked, 'WITHSCORES')
  for n = 1, #page, 2 do
    local id = page[n]
    local t = stored(id)
    if not t or t.st .. '/' .. t.ln ~= lists[at] then
      leave(key, id)
      repairs = repairs + 1
    elseif mend(t) then
      repairs = repairs + 1
    end
    after = page[n + 1]
  end
  looked = looked + #page / 2
  if looked >= limit then swept = lists[at] .. ' ' .. after end
  at, after = at + 1, 0
end
call('HSET', k_meta, 'swept', swept or '')
settle()

local sums = {}
for _, lane in ipairs(call('SMEMBERS', k_lanes)) do
  for _, state in ipairs({ 'P', 'R', 'F', 'C', 'D', 'X' }) do
    local cell = state .. '/' .. lane
    local is = state == 'R' and (running[lane] or 0) or call('ZCARD', prefix .. 'list:' .. cell)
    sums[state] = (sums[state] or 0) + is
    if tonumber(call('HGET', k_counts, cell) or 0) ~= is then
      repairs = repairs + 1
      if is == 0 then call('HDEL', k_counts, cell) else call('HSET', k_counts, cell, is) end
    end
  end
end
for state, sum in pairs(sums) do
  if tonumber(call('HGET', k_totals, state) or 0) ~= sum then
    repairs = math.max(repairs, 1)
    if sum == 0 then call('HDEL', k_totals, state) else call('HSET', k_totals, state, sum) end
  end
end
return answer({ 'ok', repairs, {}, more })
