-- Incarnations, their orders, the term.

-- Is it a node's, and not gone?
local function live(owner)
  local state = call('HMGET', prefix .. 'member:' .. owner, 'node', 'gone', 'ttl')
  return state[1] and not state[2] and not state[3]
end

-- The node hears of it with its next beat, which the hint brings on.
local function order(owner, what)
  call('HSET', prefix .. 'orders:' .. owner, fresh('ordered'), what)
  redis.pcall('PUBLISH', prefix .. 'wake', '@' .. owner)
end

-- It is gone for good: fenced, or left.
local function depart(owner, ...)
  local state = call('HMGET', prefix .. 'member:' .. owner, 'node', 'ttl')
  local node = state[1]
  call('HSET', prefix .. 'member:' .. owner, 'gone', now, ...)
  if state[2] then
    call('ZADD', k_lapsed, now, owner)
    if ... ~= 'fenced' then call('SREM', k_leases, owner) end
    return
  end
  call('UNLINK', prefix .. 'orders:' .. owner)
  call('HDEL', k_live, owner)
  if node and call('HGET', k_nodes, node) == owner then call('HDEL', k_nodes, node) end
end

-- What is no term, because somebody edited it, is nobody's.
local function term()
  local t = redis.pcall('HMGET', k_term, 'owner', 'epoch', 'beat')
  local epoch, beat = tonumber(t[2] or 0), tonumber(t[3] or 0)
  if t.err or not epoch or not beat then return { false, 0, 0 } end
  return { t[1], epoch, beat }
end

-- Is (items[1], items[2]) not the present term?
local function deposed()
  local t = term()
  return t[1] ~= items[1] or t[2] ~= items[2]
end
