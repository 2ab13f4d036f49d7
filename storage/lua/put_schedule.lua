#!lua
-- Create a schedule, or change the one that the writer saw. Takes: {id, spec, cursor, paused, last run or false,
-- {reason, count, ...}, {generation, cursor} that are expected or false}. Answers {code} or {'ok', generation}.
-- uses: lib
local id, expect = items[1], items[7]
local key = prefix .. 'schedule:' .. id
local old = call('HMGET', key, 'gen', 'cursor', 'spec')
if not expect then
  if old[1] then return answer({ 'conflict' }) end
elseif not old[1] then
  return answer({ 'not-found' })
elseif tonumber(old[1]) ~= expect[1] or tonumber(old[2]) ~= expect[2] then
  return answer({ 'stale' })
end
local generation = old[1]
if old[3] ~= items[2] then generation = call('HINCRBY', k_generations, id, 1) end
call('UNLINK', key)
call('HSET', key, 'gen', generation, 'spec', items[2], 'cursor', items[3])
if items[4] then call('HSET', key, 'paused', '1') end
if items[5] then call('HSET', key, 'last', items[5]) end
for n = 1, #items[6], 2 do call('HSET', key, 'skip/' .. items[6][n], items[6][n + 1]) end
call('SADD', k_schedules, id)
fresh('revision')
return answer({ 'ok', tonumber(generation) })
