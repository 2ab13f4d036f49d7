#!lua flags=allow-oom
-- Delete finished tasks beyond what is kept, the oldest first; forget members and tallies that are old.
-- Takes: {leader, epoch, limit, {{state, age, count}, ...}, age of members, age of tallies, age of their details, age of leases}.
-- Answers {code, how many, ids, may be more}.
-- uses: lib, lib_index, lib_task, lib_member
if deposed() then return answer({ 'deposed' }) end
local limit, ids, more = items[3], {}, false
for _, keep in ipairs(items[4]) do
  local key = prefix .. 'done:' .. keep[1]
  local room = limit - #ids
  local surplus = math.max(call('ZCARD', key) - keep[3], call('ZCOUNT', key, '-inf', clock - keep[2] - 1))
  more = more or surplus > room
  if surplus > 0 and room > 0 then
    for _, id in ipairs(call('ZRANGE', key, 0, math.min(surplus, room) - 1)) do
      local t = load(id)
      if t and t.st == keep[1] then
        remove(t)
        ids[#ids + 1] = id
      else
        leave(key, id)
        call('HINCRBY', k_meta, 'limbo', 1)
      end
    end
  end
end
settle()
for _, owner in ipairs(call('ZRANGE', k_members, 0, -1)) do
  local gone_at = call('HGET', prefix .. 'member:' .. owner, 'gone')
  if gone_at and clock - gone_at > items[5] and call('EXISTS', prefix .. 'run:' .. owner) == 0 then
    call('UNLINK', prefix .. 'member:' .. owner)
    call('ZREM', k_members, owner)
  end
end
local lapsed, forgotten = call('ZRANGE', k_lapsed, '-inf', '(' .. text(clock - items[8]), 'BYSCORE', 'LIMIT', 0, 1000), 0
for _, owner in ipairs(lapsed) do
  if call('EXISTS', prefix .. 'run:' .. owner) == 0 then
    call('UNLINK', prefix .. 'member:' .. owner)
    call('ZREM', k_lapsed, owner)
    call('SREM', k_leases, owner)
    forgotten = forgotten + 1
  end
end
more = more or (#lapsed == 1000 and forgotten > 0)
for _, minute in ipairs(call('ZRANGE', k_details, '-inf', '(' .. text(clock - items[7]), 'BYSCORE', 'LIMIT', 0, 100)) do
  for _, name in ipairs(call('HKEYS', prefix .. 'tally:' .. minute)) do
    if string.find(name, '@', 1, true) then call('HDEL', prefix .. 'tally:' .. minute, name) end
  end
  call('ZREM', k_details, minute)
  if call('EXISTS', prefix .. 'tally:' .. minute) == 0 then call('ZREM', k_tallies, minute) end
end
for _, minute in ipairs(call('ZRANGE', k_tallies, '-inf', '(' .. text(clock - items[6]), 'BYSCORE', 'LIMIT', 0, 100)) do
  call('UNLINK', prefix .. 'tally:' .. minute)
  call('ZREM', k_tallies, minute)
end
return answer({ 'ok', #ids, ids, more })
