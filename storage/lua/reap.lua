#!lua flags=allow-oom
-- Take back what a fenced incarnation holds. Takes: {leader, epoch, owner, max_crashes, limit}.
-- Answers {code, how many, ids of those that are dead letters now, may be more}.
-- uses: lib, lib_index, lib_task, lib_member
if deposed() then return answer({ 'deposed' }) end
local owner, most, limit = items[3], items[4], items[5]
local state = call('HMGET', prefix .. 'member:' .. owner, 'node', 'fenced')
if not state[1] then return answer({ 'not-found' }) end
if not state[2] then return answer({ 'refused' }) end
local entries, count_moved, convicted = call('ZRANGE', prefix .. 'run:' .. owner, 0, limit), 0, {}
for n, entry in ipairs(entries) do
  if n > limit then break end
  local id = id_of(entry)
  local t = load(id)
  leave(prefix .. 'run:' .. owner, entry)
  if t and t.st == 'R' and t.own == owner then
    local message = 'node ' .. t.nod .. ' died while it held this task'
    local changes = ended(t, 'x', 'NodeDied', message, 'crash')
    local crashes = (t.cr or 0) + 1
    changes.cr, changes.err, changes.msg, changes.cau = crashes, 'NodeDied', message, 'crash'
    if t.solo then
      changes.st, changes.fin = 'D', now
      convicted[#convicted + 1] = id
    else
      changes.st, changes.due = 'P', due_by_now(t)
      if crashes >= math.max(1, most - 1) then changes.solo = '1' end
    end
    change(t, changes)
    count_moved = count_moved + 1
  else
    owners[owner] = true
    call('HINCRBY', k_meta, 'limbo', 1)
  end
end
settle()
return answer({ 'ok', count_moved, convicted, #entries > limit })
