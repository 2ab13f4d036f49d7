#!lua flags=no-writes
-- Answers {counts by cell, paused queues, {lane, since when its oldest claimable task waits, ...}}.
-- uses: lib
local EXAMINED = 100 -- entries of a lane in order of creation; a lane's oldest is mostly the first
local counts = call('HGETALL', k_counts)
local oldest = {}

local function eligible(id)
  local t = call('HMGET', prefix .. 'task:' .. id, 'el', 'at', 'del')
  return tonumber(t[1] or t[2]), tonumber(t[2]), t[3]
end

for n = 1, #counts, 2 do
  if string.sub(counts[n], 1, 1) == 'P' then
    local lane = string.sub(counts[n], 3)
    local best
    for _, kind in ipairs({ 'ready:', 'solo:' }) do
      local head = call('ZRANGE', prefix .. kind .. lane, 0, 0)[1]
      local at = head and eligible(head)
      if at and (not best or at < best) then best = at end
    end
    if best then
      for _, id in ipairs(call('ZRANGE', prefix .. 'list:P/' .. lane, 0, EXAMINED - 1)) do
        local at, created, delayed = eligible(id)
        if not created or created >= best then break end
        if not delayed and at < best then best = at end
      end
      oldest[#oldest + 1] = lane
      oldest[#oldest + 1] = text(best)
    end
  end
end
return { counts, call('SMEMBERS', k_paused), oldest }
