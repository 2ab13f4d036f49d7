-- Tasks of which only a part is left: somebody has deleted the other, or Redis has, where it may evict.

-- The entry of a task in the set of an owner, whoever that is, and the owner.
local function run_of(id)
  for _, owner in ipairs(call('SMEMBERS', k_owners)) do
    for _, entry in ipairs(call('ZRANGE', prefix .. 'run:' .. owner, 0, -1)) do
      if id_of(entry) == id then return entry, owner end
    end
  end
end

-- Is the hash of a task gone? One that waits as it was born has none, and stands among those that wait; one whose birth an
-- error cut short may stand nowhere.
local function lost(t)
  if not t.bare or call('ZSCORE', prefix .. 'list:P/' .. t.ln, t.id) then return false end
  for _, state in ipairs({ 'F', 'C', 'D', 'X' }) do
    if call('ZSCORE', prefix .. 'list:' .. state .. '/' .. t.ln, t.id) then return true end
    if state ~= 'F' and call('ZSCORE', prefix .. 'done:' .. state, t.id) then return true end
  end
  return run_of(t.id) ~= nil
end

-- Nobody knows any more what became of it, so it is nobody's: it must not run as if it were new. `settle` has to follow.
local function forget(t)
  call('UNLINK', prefix .. 'task:' .. t.id, prefix .. 'born:' .. t.id, prefix .. 'body:' .. t.id, prefix .. 'result:' .. t.id)
  for _, state in ipairs({ 'F', 'C', 'D', 'X' }) do
    local list = prefix .. 'list:' .. state .. '/' .. t.ln
    if call('ZSCORE', list, t.id) then
      leave(list, t.id)
      count(state, t.ln, -1)
    end
    if state ~= 'F' then leave(prefix .. 'done:' .. state, t.id) end
  end
  leave(k_delayed, t.id)
  local entry, owner = run_of(t.id)
  if entry then
    leave(prefix .. 'run:' .. owner, entry)
    owners[owner] = true
    count('R', t.ln, -1)
  end
end
