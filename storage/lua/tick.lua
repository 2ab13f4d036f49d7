#!lua
-- Move a schedule's cursor and store its drafts. Takes: {leader, epoch, schedule, generation, cursor, upto, alone,
-- {reason, count, ...}, {draft ...}}; ARGV[6...] as in submit. Answers {code, whether it
-- made a task}.
-- uses: lib, lib_index, lib_birth, lib_member
if deposed() then return answer({ 'deposed' }) end
local key = prefix .. 'schedule:' .. items[3]
local state = call('HMGET', key, 'gen', 'cursor', 'paused')
local skipped, drafts = items[8], items[9]
if not state[1] then return answer({ 'not-found' }) end
if tonumber(state[1]) ~= items[4] or tonumber(state[2]) ~= items[5] then return answer({ 'stale' }) end
if state[3] and drafts[1] then return answer({ 'refused' }) end
local most = #drafts
if items[7] and most > 0 then
  most = call('EXISTS', prefix .. 'busy:' .. items[3]) == 1 and 0 or 1
  skipped[#skipped + 1], skipped[#skipped + 2] = 'overlap', #drafts - most
end
call('HSET', key, 'cursor', items[6])
if most > 0 then call('HSET', key, 'last', now) end
for n = 1, #skipped, 2 do
  if skipped[n + 1] ~= 0 then call('HINCRBY', key, 'skip/' .. skipped[n], skipped[n + 1]) end
end
local last, made = most > 0 and numbers(most), {}
for n = 1, most do
  local d = drafts[n]
  if not made[d[1]] and call('EXISTS', prefix .. 'born:' .. d[1], prefix .. 'task:' .. d[1]) == 0 then
    made[d[1]] = true
    bear(n, d, last + n)
  end
end
end_births()
return answer({ 'ok', next(made) and 1 or 0 })
