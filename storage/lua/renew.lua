#!lua flags=allow-oom
-- Holders of leases live. Takes: {{owner, task, fence}, ...}. Answers {code, state} each.
-- uses: lib
local answers = {}
for n, item in ipairs(items) do
  local key = prefix .. 'member:' .. item[1]
  local t = call('HMGET', prefix .. 'task:' .. item[2], 'st', 'own', 'fe', 'ln')
  local member = call('HMGET', key, 'ttl', 'gone')
  if not t[1] or not t[4] then
    answers[n] = { 'not-found' }
  elseif t[1] ~= 'R' or t[2] ~= item[1] or t[3] ~= item[3] or not member[1] or member[2] then
    answers[n] = { 'stale', t[1] }
  else
    call('HINCRBY', key, 'beat', 1)
    call('HSET', key, 'seen', now)
    answers[n] = { 'ok', t[1] }
  end
end
return answers
