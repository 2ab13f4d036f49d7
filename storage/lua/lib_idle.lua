-- A claim where there is nothing to hand out is answered here, before the rest of the script is made: idle nodes claim
-- once a `pollInterval` each, and most of what that costs Redis would be the making of functions that are not called.
local function nothing(member)
  local request, last = items[2], tonumber(member[3] or 0)
  if not member[1] or member[2] or request <= last then return nil end
  local due = call('ZRANGE', k_delayed, 0, 0, 'WITHSCORES')[2] or false
  if (due and due + 0 <= clock) or call('EXISTS', k_solos) == 1 then return nil end
  local taken = {}
  for n, group in ipairs(items[4]) do
    for _, handler in ipairs(group[3]) do
      if call('EXISTS', prefix .. 'open:' .. handler) == 1 then return nil end
    end
    taken[n] = {}
  end
  call('HSET', prefix .. 'member:' .. items[1], 'req', request, 'step', items[3])
  return { 'ok', now, due, false, member[1], 0, taken, {} }
end

local member = call('HMGET', prefix .. 'member:' .. items[1], 'node', 'gone', 'req', 'step', 'draining')
local idle = nothing(member)
if idle then return idle end
