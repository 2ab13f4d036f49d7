#!lua flags=allow-oom
-- Holders of leases live. Takes: {{owner, task, fence}, ...}. Answers {code, state} each.
-- uses: lib, lib_index, lib_task
local answers = {}
for n, item in ipairs(items) do
  local key = prefix .. 'member:' .. item[1]
  local t = load(item[2])
  local member = call('HMGET', key, 'ttl', 'gone')
  if not t then
    answers[n] = { 'not-found' }
  elseif t.st ~= 'R' or t.own ~= item[1] or t.fe ~= item[3] or not member[1] or member[2] then
    answers[n] = { 'stale', t.st }
  else
    call('HINCRBY', key, 'beat', 1)
    call('HSET', key, 'seen', now)
    answers[n] = { 'ok', t.st }
  end
end
return answers
