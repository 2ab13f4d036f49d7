#!lua flags=allow-oom
-- Handlers returned. Takes seven entries for each: id, op, owner, fence, result, lane, number of creation. `result` is its
-- place in ARGV, or false; the last two are false unless who ends it knows that the task is plain: that it has no err, solo,
-- sch, and its result is to be kept, or there is none.
-- Answers {code, state, code, state, ...}. The attempt is not put into the history: a completed task's last one is plain.
-- uses: lib, lib_index, lib_task
local answers, ends, lanes = {}, {}, {}
local function say(n, code, state) -- of the task whose entries begin at `n`
  local at = (n - 1) / 7 * 2 + 1
  answers[at], answers[at + 1] = code, state or false
end

-- The long way: a task whose present run this is; else nil, and that is said.
local function looked_up(n)
  local id, op, owner, fence = unpack(items, n, n + 3)
  local t = headed(id, read(prefix .. 'task:' .. id), call('GET', prefix .. 'born:' .. id))
  if not t then
    say(n, 'not-found')
  elseif op ~= '' and t.op == op then
    say(n, 'dup', t.st)
  elseif t.st ~= 'R' or t.own ~= owner or t.fe ~= fence or fenced(owner) then
    say(n, 'stale', t.st)
  else
    return t
  end
end

-- One command tells whether the plain tasks of an owner are all held as they are said to be. If one is not, then each is
-- looked up, and those that are held are so by their hashes.
local asked, quick = {}, {} -- owner -> how its tasks stand; -> whether they all stood there
local found = {} -- tasks that are looked up, by where their entries begin
for n = 1, #items, 7 do
  local owner = items[n + 2]
  if items[n + 5] then
    local entries = asked[owner]
    if not entries then
      entries = {}
      asked[owner] = entries
    end
    entries[#entries + 1] = held_as(items[n], items[n + 3], items[n + 5])
  else
    found[n] = looked_up(n)
  end
end
for owner, entries in pairs(asked) do
  quick[owner] = not fenced(owner) and call('ZREM', prefix .. 'run:' .. owner, unpack(entries)) == #entries
  owners[owner] = true
end

for n = 1, #items, 7 do
  local id, op, owner, fence, place, lane, number = unpack(items, n, n + 6)
  local key = prefix .. 'task:' .. id
  local t = found[n]
  if lane and not quick[owner] then t = looked_up(n) end
  if not (lane and quick[owner]) then lane, number = t and t.ln, t and t.no end
  if lane then
    say(n, 'ok', 'C')
    local result = place and not (t and t.keep) and ARGV[place]
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
    if t then
      if t.err or t.solo then call('HDEL', key, 'err', 'msg', 'cau', 'solo') end
      if t.sch then leave(prefix .. 'busy:' .. t.sch, id) end
      leave(prefix .. 'run:' .. owner, held_as(id, fence, lane))
      owners[owner] = true
    end
    if not t and new ~= expected and not load(id) then -- somebody has deleted it
      say(n, 'not-found')
      call('UNLINK', key, prefix .. 'born:' .. id, prefix .. 'body:' .. id, prefix .. 'result:' .. id)
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
