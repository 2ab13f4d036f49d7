#!lua flags=allow-oom
-- Hand out tasks. Takes: {owner, request, step, {{n, solo, {handler ...}, {queue ...} or false}, ...}}; no queues: all.
-- `step` counts the calls of one request, which goes on where a task that was handed out turned out to be damaged.
-- Answers {code, now, next due or false, since when a suspect waits or false, node, repeat, groups, expired}: per group
-- {plain, others, far}, or nothing. `plain`: tasks as they were born, in the order of their ranks: text (see lib_birth),
-- id, text, id ...; the fence is `now`; `far`: the payloads of those among them that do not have it in the text, false for
-- one that is gone. `others`, six entries each: how many plain tasks come before it, its text or false, the fields of its
-- hash before the claim, id, fence, payload or false where it is not needed or gone. Where it is a repeat, one list of
-- {fields, payload, result} of what is still held. `expired`: id and lane of each task whose time was over, one after the other.
-- uses: lib, lib_idle, lib_index, lib_task, lib_merge, lib_promote
local owner, request, step, groups = items[1], items[2], items[3], items[4]
local GIVEN_UP = 1000 -- tasks whose time is over that one claim clears away at most
local node = member[1]
if not node or member[2] then return { 'fenced' } end
local last, last_step = tonumber(member[3] or 0), tonumber(member[4] or 0)
if request < last then return { 'refused' } end
local request_text = text(request)
local first_run = now .. '/' .. request_text .. '/' .. node
local short = #first_run <= 64 -- a longer one would take the hash out of its compact form
local again = request == last and step <= last_step

local paused = {}
for _, queue in ipairs(call('SMEMBERS', k_paused)) do paused[queue] = true end

local function fetch(list, from, size) return call('ZRANGE', list.key, from, from + size - 1, 'WITHSCORES') end

local function served(group, queue) return not paused[queue] and (not group.queues or group.queues[queue]) end

for _, group in ipairs(groups) do
  group.handlers, group.queues = {}, false
  for _, handler in ipairs(group[3]) do group.handlers[handler] = true end
  if group[4] then
    group.queues = {}
    for _, queue in ipairs(group[4]) do group.queues[queue] = true end
  end
end

local suspects = call('SMEMBERS', k_solos)

local function written()
  local touched = next(solo)
  settle()
  if touched then suspects = call('SMEMBERS', k_solos) end
end

-- The lanes of a group: (lane, key) each.
local function lanes(group)
  local found = {}
  if group[2] then
    for _, lane in ipairs(suspects) do
      local queue, handler = string.match(lane, '^([^/]*)/(.*)$')
      if group.handlers[handler] and served(group, queue) then found[lane] = prefix .. 'solo:' .. lane end
    end
  else
    for handler in pairs(group.handlers) do
      for _, queue in ipairs(call('SMEMBERS', prefix .. 'open:' .. handler)) do
        if served(group, queue) then found[queue .. '/' .. handler] = prefix .. 'ready:' .. queue .. '/' .. handler end
      end
    end
  end
  return found
end

local lists, expired, given_up = {}, {}, 0 -- a lane's list is shared by the groups: each goes on where the one before it stopped

local mine = {} -- what enters the set of the owner

local PLAIN = '^[=:.-]([^/]*/[^/]*)/(%d+)/%d+/%d+/%d+/%d+/%d+/(%d+)/()' -- of HEAD

-- The task is the owner's now.
local function hand_out(list, group, id, number, fence)
  if group[2] then
    leave(list.key, id)
    leave(prefix .. 'since:' .. list.lane, id)
  end
  local ids, n = list.taken, #mine
  ids[#ids + 1] = id
  mine[n + 1], mine[n + 2] = number, held_as(id, fence, list.lane)
end

-- What stands next in the lists, at most `n`: id, list, id, list ...
local function heads(heap, n)
  local found = {}
  for at = 1, 2 * n, 2 do
    local list = heap[1]
    if not list then break end
    found[at], found[at + 1] = list.id, list
    list.used = list.used + 1
    pop(heap, fetch)
  end
  return found
end

-- Take a task that is not as it was born; `birth` is false where it has no text.
local function take(id, list, group, birth, rows, bodies)
  local lane, key = list.lane, prefix .. 'task:' .. id
  local fields = call('HGETALL', key)
  local t = fields[1] and {}
  for n = 1, #fields, 2 do t[fields[n]] = fields[n + 1] end
  t = headed(id, t, birth)
  if not t or t.st ~= 'P' or t.ln ~= lane then -- no task, or one that does not belong here
    if group[2] then
      leave(list.key, id)
      leave(prefix .. 'since:' .. lane, id)
    end
    call('HINCRBY', k_meta, 'limbo', 1)
    return
  end
  if t.exp and t.exp + 0 <= clock then
    given_up = given_up + 1
    expired[#expired + 1], expired[#expired + 2] = id, lane
    expire(joined(id, t, birth))
    return
  end
  local fence = t.fe and t.fe + 1 or 0
  fence = fence > clock and text(fence) or now
  call('HSET', key, 'st', 'R', 'own', owner, 'nod', node, 'req', request_text, 'fe', fence, 'att', t.att and text(t.att + 1) or '1')
  if t.beg or fence ~= now then call('HSET', key, 'beg', now) end
  if t.pro or t.run then call('HDEL', key, 'pro', 'run') end
  if t.exp then leave(k_expiry, id) end
  hand_out(list, group, id, t.no, fence)
  local others, n = rows[2], #rows[2]
  others[n + 1], others[n + 2], others[n + 3], others[n + 4] = #rows[1] / 2, birth, fields, id
  others[n + 5], others[n + 6] = fence, false
  local near = birth and MARKS[string.sub(birth, 1, 1)][1] or t.pay
  if not near and not t.big then bodies[#bodies + 1] = { others, n + 6, id } end
  rows.filled = rows.filled + 1
end

-- Take what stands next in the lists, at most `n`. `rows` gets it, `bodies` where in them the payload is missing.
local function take_next(heap, n, group, rows, bodies)
  local found = heads(heap, n)
  local births, hashes = {}, {}
  for at = 1, #found, 2 do
    local id, place = found[at], (at + 1) / 2
    births[place], hashes[place] = prefix .. 'born:' .. id, prefix .. 'task:' .. id
  end
  local texts = call('MGET', unpack(births))
  local mixed, plain = call('EXISTS', unpack(hashes)) > 0, rows[1]
  for at = 1, #found, 2 do
    local id, list, place = found[at], found[at + 1], (at + 1) / 2
    local birth, key = texts[place], hashes[place]
    local lane, number, digest, from = string.match(birth or '', PLAIN)
    local plain_still = lane and lane == list.lane and #birth >= from + digest - 1
    if plain_still and not (mixed and call('EXISTS', key) == 1) then
      if short then
        call('HSET', key, 'st', 'R', 'own', owner, 'run', first_run)
      else
        call('HSET', key, 'st', 'R', 'own', owner, 'nod', node, 'req', request_text, 'fe', now, 'att', '1')
      end
      hand_out(list, group, id, number, now)
      local size = #plain
      plain[size + 1], plain[size + 2] = birth, id
      if not MARKS[string.sub(birth, 1, 1)][1] then
        local far = rows[3]
        far[#far + 1] = false
        bodies[#bodies + 1] = { far, #far, id }
      end
      rows.filled = rows.filled + 1
    else
      take(id, list, group, birth, rows, bodies)
    end
  end
end

local function fill(group)
  local rows, bodies, heap = { {}, {}, {}, filled = 0 }, {}, {}
  local open = lanes(group)
  local number = 0
  for _ in pairs(open) do number = number + 1 end
  for lane, key in pairs(open) do
    local list = lists[key]
    if not list then
      list = open_list(key, 2 + floor(group[1] / number))
      list.lane, list.solo, list.taken, list.used = lane, group[2], {}, 0
      list.more = advance(list, fetch)
      lists[key] = list
    end
    if list.more then heap[#heap + 1] = list end
  end
  heapify(heap)
  while rows.filled < group[1] and heap[1] and given_up < GIVEN_UP do
    take_next(heap, group[1] - rows.filled, group, rows, bodies)
  end
  if bodies[1] then
    local keys = {}
    for n, missing in ipairs(bodies) do keys[n] = prefix .. 'body:' .. missing[3] end
    for n, body in ipairs(call('MGET', unpack(keys))) do
      local list, at = unpack(bodies[n], 1, 2)
      list[at] = body
    end
  end
  return rows
end

local taken = {}
if again then
  for _, entry in ipairs(call('ZRANGE', prefix .. 'run:' .. owner, 0, -1)) do
    local t = load(id_of(entry))
    if t and tonumber(t.req) == request then taken[#taken + 1] = shown(t) end
  end
else
  call('HSET', prefix .. 'member:' .. owner, 'req', request, 'step', step)
  if member[5] then
    for n in ipairs(groups) do taken[n] = {} end
  else
    promote(100)
    written()
    for n, group in ipairs(groups) do
      local alone = n > 1 and groups[1][2] and (taken[1].filled or 0) > 0 -- a suspect that was taken first is taken alone
      taken[n] = group[1] > 0 and not alone and fill(group) or {}
    end
    for key, list in pairs(lists) do
      local lane, ids = list.lane, list.taken
      if list.used > 0 then
        if list.solo then
          solo[lane] = true
        else -- all that was looked at stood at the head, and is gone from there
          call('ZREMRANGEBYRANK', key, 0, list.used - 1)
          gone[key] = nil
          if not list.more then ready[lane] = true end
        end
      end
      if ids[1] then
        count('P', lane, -#ids)
        count('R', lane, #ids)
        for _, id in ipairs(gone[prefix .. 'list:P/' .. lane] or {}) do ids[#ids + 1] = id end
        gone[prefix .. 'list:P/' .. lane] = ids
      end
    end
    if mine[1] then
      come[prefix .. 'run:' .. owner] = mine
      owners[owner] = true
    end
    written()
  end
end

local due = call('ZRANGE', k_delayed, 0, 0, 'WITHSCORES')[2] or false
local since = false
for _, lane in ipairs(suspects) do
  local queue, handler = string.match(lane, '^([^/]*)/(.*)$')
  for _, group in ipairs(groups) do
    if group.handlers[handler] and served(group, queue) then
      local head = call('ZRANGE', prefix .. 'since:' .. lane, 0, 0, 'WITHSCORES')[2]
      if head and (not since or head + 0 < since + 0) then since = head end
      break
    end
  end
end
return { 'ok', now, due, since, node, again and 1 or 0, taken, expired }
