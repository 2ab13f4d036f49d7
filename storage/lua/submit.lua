#!lua
-- Store drafts. Takes: {atomic, {draft ...}}, see lib_birth. ARGV[6...]: their payloads.
-- Answers {code, id, state, created} for each; `atomic`: all or none. Where all are new: {'ok', created}.
-- uses: lib, lib_index, lib_task, lib_lost, lib_birth
local atomic, drafts = items[1], items[2]
local LIFETIME = 86400000000 -- of an idempotency key, microseconds
local answers, new, keyed = {}, {}, {}
local keys = {} -- keys of tasks that were there before, and what is stored of each
local waiting = call('HMGET', k_totals, 'P', 'F')
local room = (tonumber(waiting[1]) or 0) + (tonumber(waiting[2]) or 0)

-- A submit that an error cut short has left a task in some of its indexes only. Nobody was told that it is stored; now
-- somebody is about to be.
local function whole_again(id)
  local t = load(id)
  local gone_by = t and lost(t)
  if gone_by then forget(t) end
  if gone_by or (t and mend(t)) then call('HINCRBY', k_meta, 'limbo', 1) end
end

-- Ids that are known already. Up to schema 3 a task had no text of its own.
local names, hashes = {}, {}
for n, d in ipairs(drafts) do names[n], hashes[n] = prefix .. 'born:' .. d[1], prefix .. 'task:' .. d[1] end
local births = drafts[1] and call('MGET', unpack(names)) or {}
local older = drafts[1] and call('EXISTS', unpack(hashes)) > 0

local function twin_of(n, id)
  local hash = older and read(hashes[n])
  if new[id] or not (hash or births[n]) then return new[id] end
  local t = joined(id, hash, births[n])
  if not (t and t.bare and lost(t)) then return t or {} end -- what somebody has edited is no twin, and in the way
  forget(t)
  call('HINCRBY', k_meta, 'limbo', 1)
  return nil
end

local function admit(n, d)
  local id, digest, key = d[1], d[4], d[11]
  if key then
    local known = keyed[key]
    if not known then
      local stored = call('GET', prefix .. 'key:' .. key)
      if stored then
        local at, first, its = string.match(stored, '^(%d+) (%S+) (.*)$')
        if at and clock - at < LIFETIME then known = { at, first, its } end
      end
    end
    if known then
      if known[3] ~= digest then return { 'mismatch', id } end
      if not new[known[2]] then whole_again(known[2]) end
      return { 'dup', known[2], 'P', known[1] }
    end
  end
  local twin = twin_of(n, id)
  if twin then
    if twin.dig ~= digest then return { 'conflict', id } end
    if not new[id] then whole_again(id) end
    if key then
      keyed[key] = { now, id, digest }
      keys[key] = now .. ' ' .. id .. ' ' .. digest
    end
    return { 'dup', id, twin.st, twin.at }
  end
  if d[13] and room >= d[13] then return { 'full', id } end
  room = room + 1
  new[id] = { st = 'P', at = now, dig = digest }
  if key then keyed[key] = { now, id, digest } end
  return { 'ok', id, 'P', now }
end

local good, fresh = true, true
for n, d in ipairs(drafts) do
  local reply = admit(n, d)
  answers[n] = reply
  fresh = fresh and reply[1] == 'ok'
  good = good and (reply[1] == 'ok' or reply[1] == 'dup')
end
if atomic and not good then
  for _, reply in ipairs(answers) do
    if reply[1] == 'ok' or reply[1] == 'dup' then reply[1], reply[3], reply[4] = 'waits', nil, nil end
  end
  return answers
end
local function remember(key, said) call('SET', prefix .. 'key:' .. key, said, 'PX', LIFETIME / 1000) end

for key, said in pairs(keys) do remember(key, said) end
local last = next(new) and numbers(#drafts)
for n, d in ipairs(drafts) do
  if answers[n][1] == 'ok' then
    bear(n, d, last + n)
    if d[11] then remember(d[11], now .. ' ' .. d[1] .. ' ' .. d[4]) end
  end
end
end_births()
if fresh then return { 'ok', now } end
return answers
