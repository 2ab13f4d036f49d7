-- One task: read it, change it, show it. What it was born with is a text that never changes (lib_birth); what is otherwise
-- since then is in its hash. Both have the fields of storage/keys.py; absent is the usual value.

-- A task of these fields and this text, each false where there is none; nil where that is none. Up to schema 3 the hash
-- had all of it. Of the text only lane and number are read.
local function headed(id, t, birth)
  if birth then
    local mark, lane, number, size, from = string.match(birth, HEAD)
    if not mark or #birth < from + size - 1 or (MARKS[mark][2] and not t) then return nil end
    t = t or { bare = true }
    t.keep = t.keep or MARKS[mark][3]
    t.ln, t.no, t.st = lane, number, t.st or 'P'
  else
    if t and t.new then
      local priority, checksum, timeout, retries, digest = as_born(t.new)
      t.pri, t.sum, t.to = t.pri or priority, t.sum or checksum, t.to or timeout
      t.ret, t.dig = t.ret or retries, t.dig or digest
    end
    if not (t and t.ln and t.st and t.no and t.at and t.pri) then return nil end
  end
  if t.run then
    t.att, t.fe, t.req, t.nod = '1', string.match(t.run, '^(%d+)/(%d+)/(.*)$')
  end
  if t.st == 'R' then t.own, t.nod, t.fe, t.att = t.own or '', t.nod or '', t.fe or '0', t.att or '1' end
  t.id = id
  return t
end

-- The same, whole.
local function joined(id, t, birth)
  t = headed(id, t, birth)
  if not (t and birth) then return t end
  local at, priority, checksum, timeout, retries, size, from = string.match(birth, REST)
  local digest_end = from + size - 1
  t.at, t.pri, t.sum, t.to, t.ret = at, t.pri or priority, checksum, timeout, retries
  t.dig = string.sub(birth, from, digest_end)
  if MARKS[string.sub(birth, 1, 1)][1] then t.pay = string.sub(birth, digest_end + 1) end
  return t
end

-- A task with its id; nil where there is none, or something that is none.
local function load(id) return joined(id, read(prefix .. 'task:' .. id), call('GET', prefix .. 'born:' .. id)) end

local RUN = { 'att', 'fe', 'req', 'nod' }

-- Set fields (false: none any more) and move the task where it belongs now; answers the task after it.
local function change(t, changes)
  local set, del, new = {}, {}, {}
  for field, value in pairs(t) do new[field] = value end
  new.bare = nil
  if not changes.st then set[1], set[2] = 'st', t.st end -- so that its hash is never empty
  for field, value in pairs(changes) do
    if value == false then
      if t[field] then del[#del + 1] = field end
      new[field] = nil
    else
      set[#set + 1] = field
      set[#set + 1] = value
      new[field] = value
    end
  end
  if t.run then -- it is said field by field from now on
    for _, field in ipairs(RUN) do
      if changes[field] == nil and t[field] then set[#set + 1], set[#set + 2] = field, t[field] end
    end
    del[#del + 1], new.run = 'run', nil
  end
  local key = prefix .. 'task:' .. t.id
  call('HSET', key, unpack(set))
  if del[1] then call('HDEL', key, unpack(del)) end
  moved(t, new)
  return new
end

local function remove(t)
  call('UNLINK', prefix .. 'task:' .. t.id, prefix .. 'born:' .. t.id, prefix .. 'body:' .. t.id, prefix .. 'result:' .. t.id)
  moved(t, nil)
end

-- The history with one more entry; the oldest of more than 20 goes. Its first byte is how many it holds.
local function longer(history, entry)
  entry = cmsgpack.pack(entry)
  if not history then return '\1' .. entry end
  local n = string.byte(history)
  if n < 20 then return string.char(n + 1) .. string.sub(history, 2) .. entry end
  local rest = cmsgpack.unpack_one(history, 1)
  return string.sub(history, 1, 1) .. string.sub(history, rest + 1) .. entry
end

-- What every end of an attempt changes. `outcome`: c f t x r s k, for completed, failed, timeout, crashed, released,
-- snoozed, cancelled.
local function ended(t, outcome, type, message, cause)
  local entry = { tonumber(t.att), tonumber(t.gen or 1), t.nod, tonumber(t.beg or t.fe), clock, outcome, type, message, cause }
  return { his = longer(t.his, entry) }
end

-- An attempt that does not count.
local function uncharged(t) return t.att + 0 > 1 and t.att - 1 or false end

local function dead(t, type, message, cause)
  return change(t, { st = 'D', del = false, fin = now, err = type, msg = message, cau = cause })
end

local function expire(t) return dead(t, 'Expired', 'expiresAt passed while the task waited', 'expired') end

-- When a task that was claimed was due; now, if the clock was set back since. Nil: as it is.
local function due_by_now(t)
  local due = t.due or t.el or t.at
  return due + 0 > clock and now or nil
end

local function released(t)
  local changes = ended(t, 'r')
  changes.st, changes.att, changes.due = 'P', uncharged(t), due_by_now(t)
  return changes
end

local fenced_owners = {}
local function fenced(owner)
  local known = fenced_owners[owner]
  if known == nil then
    known = call('HGET', prefix .. 'member:' .. owner, 'fenced') and true or false
    fenced_owners[owner] = known
  end
  return known
end

-- The task of an event of its owner: {id, op, owner, fence, ...}. Else nil and the answer.
local function held(item)
  local t = load(item[1])
  if not t then return nil, { 'not-found' } end
  if item[2] ~= '' and t.op == item[2] then return nil, { 'dup', t.st } end
  if t.st ~= 'R' or t.own ~= item[3] or t.fe ~= item[4] or fenced(item[3]) then return nil, { 'stale', t.st } end
  return t
end

local function note(changes, op)
  if op ~= '' then changes.op = op end
  return changes
end

-- Its fields, one after the other.
local function flat(t)
  local fields, at = {}, 0
  for field, value in pairs(t) do
    fields[at + 1], fields[at + 2] = field, value
    at = at + 2
  end
  return fields
end

-- A task as Python reads it: fields, payload, result.
local function shown(t)
  local body = whole(t, 'pay') or call('GET', prefix .. 'body:' .. t.id)
  return { flat(t), body, whole(t, 'out') or (t.far and call('GET', prefix .. 'result:' .. t.id)) or false }
end

-- An operator's event on each item {id, op, ...}: `states` are those that allow it.
local function operate(states, act)
  local answers = {}
  for n, item in ipairs(items) do
    local t = load(item[1])
    if not t then
      answers[n] = { 'not-found' }
    elseif item[2] ~= '' and t.op == item[2] then
      answers[n] = { 'dup', shown(t) }
    elseif not string.find(states, t.st, 1, true) then
      answers[n] = { 'refused', shown(t) }
    else
      answers[n] = { 'ok', act(t, item) }
    end
  end
  settle()
  return answers
end
