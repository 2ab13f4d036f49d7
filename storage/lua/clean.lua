#!lua flags=allow-oom
-- Delete keys of this namespace, unless a node lives. Takes: {{key, ...}, microseconds that a node may be silent}.
-- Answers the name of a node that lives, or false.
-- uses: lib
for _, owner in ipairs(call('HKEYS', k_live)) do
  local state = call('HMGET', prefix .. 'member:' .. owner, 'node', 'seen')
  if state[1] and clock - (state[2] or 0) < items[2] then return state[1] end
end
for _, key in ipairs(items[1]) do
  if string.sub(key, 1, #prefix) == prefix then call('UNLINK', key) end
end
return false
