-- Which indexes hold a task, and the counts. Changes are gathered and written at once by `settle`, so that an index is
-- touched once a script, however many tasks move.
local gone, come = {}, {} -- sorted set -> what leaves it; sorted set -> what enters it: score, id, score, id ...
local cells, blames = {}, {} -- `<state>/<queue>/<handler>` -> by how much it grows; `<cause>/<handler>` likewise
local ready, solo, owners = {}, {}, {} -- lanes and incarnations whose sets are touched

local function leave(key, id)
  local list = gone[key]
  if list then list[#list + 1] = id else gone[key] = { id } end
end

local function enter(key, score, id)
  local list = come[key]
  if not list then
    come[key] = { score, id }
    return
  end
  local n = #list
  list[n + 1] = score
  list[n + 2] = id
end

local function count(state, lane, by)
  local cell = state .. '/' .. lane
  cells[cell] = (cells[cell] or 0) + by
end

-- How a task that runs stands in the set of its owner: so that one look there tells whether an end is the present run's.
local function held_as(id, fence, lane) return id .. '/' .. fence .. '/' .. lane end

local function id_of(entry) return string.match(entry, '^[^/]*') end

-- What a task was born with begins with a mark, lane and number; time, priority, checksum, timeout, retries and size of the
-- digest follow. The digest begins at the last capture, and after it the payload, if that is near: if it does not stand in a
-- key of its own.
local HEAD = '^([=:+~.-])([^/]*/[^/]*)/(%d+)/%d+/%d+/%d+/%d+/%d+/(%d+)/()'
local REST = '^.[^/]*/[^/]*/%d+/(%d+)/(%d+)/(%d+)/(%d+)/(%d+)/(%d+)/()'
local MARKS = { -- is the payload near, was it born with a hash, and is the result not kept, if that is not said in it
  ['='] = { true, false }, ['-'] = { false, false }, ['+'] = { true, true }, ['~'] = { false, true },
  [':'] = { true, false, '0' }, ['.'] = { false, false, '0' },
}

-- The same up to schema 3, in the field `new` of its hash: priority, checksum, timeout, retries, digest. One that has a
-- field of its own, as it does once it has changed, and as all had up to schema 2, is that instead.
local function as_born(new) return string.match(new, '^(%d+)/(%d+)/(%d+)/(%d+)/(.*)$') end

local function rank(t) return (t.el or t.at) - t.pri * aging end

-- The sorted sets that hold a task -> its score there; that of its owner is not among them.
local function stands(t)
  local state, lane, at = t.st, t.ln, {}
  if state == 'P' or state == 'F' then
    local due = t.due or t.el or t.at
    if t.del then
      at[k_delayed] = due
    elseif t.solo then
      at[prefix .. 'solo:' .. lane], at[prefix .. 'since:' .. lane] = rank(t), due
      solo[lane] = true
    else
      at[prefix .. 'ready:' .. lane] = rank(t)
      ready[lane] = true
    end
    if t.exp then at[k_expiry] = t.exp end
  elseif state ~= 'R' then
    at[prefix .. 'done:' .. state] = t.fin
  end
  if state ~= 'R' then at[prefix .. 'list:' .. state .. '/' .. lane] = t.no end
  if t.tag then
    for tag in string.gmatch(t.tag, '[^/]+') do at[prefix .. 'tag:' .. tag] = t.no end
  end
  if t.sch then
    at[prefix .. 'made:' .. t.sch] = t.no
    if state == 'P' or state == 'F' or state == 'R' then at[prefix .. 'busy:' .. t.sch] = t.no end
  end
  return at
end

-- Put a task where it belongs, as far as it is not there. Was something missing? Was that its place with its owner?
-- `settle` has to follow.
local function mend(t)
  local missing, run = false, false
  for key, score in pairs(stands(t)) do
    if not call('ZSCORE', key, t.id) then
      enter(key, score, t.id)
      missing = true
    end
  end
  if t.st == 'R' and t.own and t.fe then
    local key, entry = prefix .. 'run:' .. t.own, held_as(t.id, t.fe, t.ln)
    if not call('ZSCORE', key, entry) then
      enter(key, t.no, entry)
      owners[t.own] = true
      missing, run = true, true
    end
  end
  if missing then call('SADD', k_lanes, t.ln) end
  return missing, run
end

local function blame(t, by)
  if t.st == 'D' and t.cau then
    local cell = t.cau .. '/' .. string.match(t.ln, '/(.*)$')
    blames[cell] = (blames[cell] or 0) + by
  end
end

-- A task is not as it was (`old`; nil: it is new) but as it is now (`new`; nil: it is gone).
local function moved(old, new)
  local from, to = old and stands(old) or {}, new and stands(new) or {}
  local id = (new or old).id
  for key in pairs(from) do
    if not to[key] then leave(key, id) end
  end
  for key, score in pairs(to) do
    if from[key] ~= score then enter(key, score, id) end
  end
  if old then
    if old.st == 'R' and not (new and new.st == 'R') then
      leave(prefix .. 'run:' .. old.own, held_as(id, old.fe, old.ln))
      owners[old.own] = true
    end
    count(old.st, old.ln, -1)
    blame(old, -1)
  end
  if new then
    count(new.st, new.ln, 1)
    blame(new, 1)
  end
end

-- A set is listed in another one while it holds something. True where it is listed now and was not before.
local function listed(key, list, member)
  if call('EXISTS', key) == 1 then return call('SADD', list, member) == 1 end
  call('SREM', list, member)
  return false
end

-- Add to the counts of a hash, all at once; those that are zero then go. Answers the fields that were not there before.
local function grow(key, growth)
  local fields, new, set, zero = {}, {}, {}, {}
  for field, by in pairs(growth) do
    if by ~= 0 then fields[#fields + 1] = field end
  end
  if not fields[1] then return new end
  for n, was in ipairs(call('HMGET', key, unpack(fields))) do
    local field = fields[n]
    local is, at = (tonumber(was) or 0) + growth[field], #set -- no number: somebody edited it, and the sweep counts anew
    if is == 0 then zero[#zero + 1] = field else set[at + 1], set[at + 2] = field, text(is) end
    if not was then new[#new + 1] = field end
  end
  if set[1] then call('HSET', key, unpack(set)) end
  if zero[1] then call('HDEL', key, unpack(zero)) end
  return new
end

-- Write what was gathered; a lane that was empty wakes idle nodes (a hint: nothing is lost without it).
local function settle()
  for key, ids in pairs(gone) do call('ZREM', key, unpack(ids)) end
  for key, list in pairs(come) do call('ZADD', key, unpack(list)) end
  for lane in pairs(ready) do
    local queue, handler = string.match(lane, '^([^/]*)/(.*)$')
    if listed(prefix .. 'ready:' .. lane, prefix .. 'open:' .. handler, queue) then
      redis.pcall('PUBLISH', prefix .. 'wake', lane)
    end
  end
  for lane in pairs(solo) do
    if listed(prefix .. 'solo:' .. lane, k_solos, lane) then redis.pcall('PUBLISH', prefix .. 'wake', lane) end
  end
  for owner in pairs(owners) do listed(prefix .. 'run:' .. owner, k_owners, owner) end
  local sums = {}
  for cell, by in pairs(cells) do
    local state = string.sub(cell, 1, 1)
    sums[state] = (sums[state] or 0) + by
  end
  local lanes = grow(k_counts, cells)
  for n, cell in ipairs(lanes) do lanes[n] = string.sub(cell, 3) end
  if lanes[1] then call('SADD', k_lanes, unpack(lanes)) end
  grow(k_totals, sums)
  grow(k_causes, blames)
  gone, come, cells, blames, ready, solo, owners = {}, {}, {}, {}, {}, {}, {}
end
