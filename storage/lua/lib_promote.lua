-- Move at most `limit` delayed tasks whose time has come into their lanes, earliest first; how many, and may be more.
local function promote(limit)
  local due = call('ZRANGE', k_delayed, '-inf', clock, 'BYSCORE', 'LIMIT', 0, limit + 1)
  local done = 0
  for n, id in ipairs(due) do
    if n > limit then break end
    local t = load(id)
    if t and t.del and (t.st == 'P' or t.st == 'F') then
      change(t, { st = 'P', del = false })
      done = done + 1
    else
      leave(k_delayed, id)
      call('HINCRBY', k_meta, 'limbo', 1)
    end
  end
  return done, #due > limit
end
