#!lua flags=no-writes
-- Answers {counts by cell, paused queues, {lane, since when its oldest claimable task waits, ...}}.
-- uses: lib, lib_index, lib_task
local EXAMINED = 100 -- entries of a lane in order of creation; a lane's oldest is mostly the first
local counts = call('HGETALL', k_counts)
local oldest, suspects = {}, {}
for _, lane in ipairs(call('SMEMBERS', k_solos)) do suspects[lane] = true end

local function eligible(id)
  local t = load(id)
  if t then return tonumber(t.el or t.at), tonumber(t.at), t.del end
end

for n = 1, #counts, 2 do
  if string.sub(counts[n], 1, 1) == 'P' then
    local lane = string.sub(counts[n], 3)
    local head = call('ZRANGE', prefix .. 'ready:' .. lane, 0, 0)[1]
    local best = head and eligible(head)
    head = suspects[lane] and call('ZRANGE', prefix .. 'solo:' .. lane, 0, 0)[1]
    local at = head and eligible(head)
    if at and (not best or at < best) then best = at end
    if best then
      local from, step = 0, 1
      while from < EXAMINED do
        local page = call('ZRANGE', prefix .. 'list:P/' .. lane, from, from + step - 1)
        for _, id in ipairs(page) do
          local since, created, delayed = eligible(id)
          if created and created >= best then from = EXAMINED end
          if since and not delayed and since < best then best = since end
        end
        if not page[step] then break end
        from, step = from + step, 4 * step
      end
      oldest[#oldest + 1] = lane
      oldest[#oldest + 1] = text(best)
    end
  end
end
return { counts, call('SMEMBERS', k_paused), oldest }
