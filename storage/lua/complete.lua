#!lua flags=allow-oom
-- Handlers returned. Takes six entries for each: id, op, owner, fence, result, lane. `result` is its place in ARGV, or
-- false; `lane` is false unless who ends it knows that the task is plain: that it has none of the fields in RARE.
-- Answers {code, state, code, state, ...}. The attempt is not put into the history: a completed task's last one is plain.
-- uses: lib, lib_index, lib_task
local answers, ends, lanes = {}, {}, {}
local function say(n, code, state) -- of the task whose entries begin at `n`
  local at = (n + 2) / 3
  answers[at], answers[at + 1] = code, state or false
end

-- One look tells which plain tasks are held as they are said to be: number of creation by where their entries begin.
local numbers, entries = {}, {} -- `entries`: how those that were looked for stand in the set of their owner
local asked = {} -- owner -> {where its tasks' entries begin, how they stand}
for n = 1, #items, 6 do
  local owner, lane = items[n + 2], items[n + 5]
  if lane then
    local list = asked[owner]
    if not list then
      list = { {}, {} }
      asked[owner] = list
    end
    local at, entry = #list[1] + 1, held_as(items[n], items[n + 3], lane)
    list[1][at], list[2][at], entries[n] = n, entry, entry
  end
end
for owner, list in pairs(asked) do
  if not fenced(owner) then
    for at, number in ipairs(call('ZMSCORE', prefix .. 'run:' .. owner, unpack(list[2]))) do
      numbers[list[1][at]] = number
    end
  end
end

local RARE = { 'op', 'keep', 'err', 'solo', 'sch' }

-- The long way: lane, number, RARE of a task whose present run this is; else nil, and that is said.
local function looked_up(n, id, op, owner, fence)
  local key = prefix .. 'task:' .. id
  local t = call('HMGET', key, 'st', 'own', 'fe', 'ln', 'no', 'odd')
  local lane = t[4]
  local good = t[1] == 'R' and t[2] == owner and t[3] == fence and lane and not fenced(owner)
  local rare = (not good or t[6]) and call('HMGET', key, unpack(RARE)) or {}
  if not t[1] or not lane then
    say(n, 'not-found')
  elseif op ~= '' and rare[1] == op then
    say(n, 'dup', t[1])
  elseif not good then
    say(n, 'stale', t[1])
  else
    return lane, t[5], rare
  end
end

for n = 1, #items, 6 do
  local id, op, owner, fence, place, lane = unpack(items, n, n + 5)
  local key = prefix .. 'task:' .. id
  local number, rare, entry = numbers[n], nil, entries[n]
  if not number then
    lane, number, rare = looked_up(n, id, op, owner, fence)
    entry = lane and held_as(id, fence, lane)
  end
  if lane then
    say(n, 'ok', 'C')
    local result = place and not (rare and rare[2]) and ARGV[place]
    local more
    if not result then
      more = {}
    elseif #result > NEAR then
      call('SET', prefix .. 'result:' .. id, result)
      more = { 'far', '1' }
    else
      more = pieces('out', result)
    end
    if op ~= '' then more[#more + 1], more[#more + 2] = 'op', op end
    local new = call('HSET', key, 'st', 'C', 'fin', now, unpack(more))
    local expected = 1 + #more / 2
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
    mine[#mine + 1] = entry
    if not rare and new ~= expected and not load(id) then -- somebody has deleted it
      say(n, 'not-found')
      call('UNLINK', key, prefix .. 'body:' .. id, prefix .. 'result:' .. id)
      call('HINCRBY', k_meta, 'limbo', 1)
    else
      local at = #ends
      ends[at + 1], ends[at + 2] = now, id
      local list = lanes[lane]
      if not list then
        list = {}
        lanes[lane] = list
        come[prefix .. 'list:C/' .. lane] = list
      end
      at = #list
      list[at + 1], list[at + 2] = number, id
    end
  end
end
if ends[1] then come[prefix .. 'done:C'] = ends end
for lane, list in pairs(lanes) do
  count('R', lane, -#list / 2)
  count('C', lane, #list / 2)
end
settle()
return answers
