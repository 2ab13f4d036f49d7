-- A draft becomes a task. A draft is {id, lane, checksum, bytes of its digest, priority, timeout, retries, keep_result,
-- tags, delay, run_at, expires_at, key, schedule, capacity}; its digest and payload are together one text of ARGV.

-- Store it as number `no`.
local function bear(d, digest, payload, no)
  local id, lane = d[1], d[2]
  local eligible = clock + d[10]
  if d[11] and d[11] > eligible then eligible = d[11] end
  local due = d[14] and d[11] or eligible -- a schedule's due time that has passed is when it is due, all the same
  local set = {
    'ln', lane, 'sum', d[3], 'dig', digest, 'pri', d[5], 'to', d[6], 'ret', d[7], 'st', 'P', 'no', no, 'at', now,
  }
  local n = #set
  local function put(field, value)
    set[n + 1] = field
    set[n + 2] = value
    n = n + 2
  end
  if #payload <= 64 then
    put('pay', payload)
  else
    call('SET', prefix .. 'body:' .. id, payload)
    if #payload > 65536 then put('big', '1') end
  end
  if eligible > clock then put('el', eligible) end
  if due ~= eligible then put('due', due) end
  if due > clock then
    put('del', '1')
    enter(k_delayed, due, id)
  else
    enter(prefix .. 'ready:' .. lane, eligible - d[5] * aging, id)
    ready[lane] = true
  end
  if d[12] then
    put('exp', d[12])
    enter(k_expiry, d[12], id)
  end
  if not d[8] then put('keep', '0') end
  if d[9] then
    put('tag', d[9])
    for tag in string.gmatch(d[9], '[^/]+') do enter(prefix .. 'tag:' .. tag, no, id) end
  end
  if d[13] then put('key', d[13]) end
  if d[14] then
    put('sch', d[14])
    enter(prefix .. 'made:' .. d[14], no, id)
    enter(prefix .. 'busy:' .. d[14], no, id)
  end
  call('HSET', prefix .. 'task:' .. id, unpack(set))
  enter(prefix .. 'list:P/' .. lane, no, id)
  count('P', lane, 1)
end

-- The digest and the payload of draft `n`.
local function texts(n, d)
  local both = ARGV[5 + n]
  return string.sub(both, 1, d[4]), string.sub(both, d[4] + 1)
end

-- Numbers by creation for `n` drafts: the first is one more than the answer.
local function numbers(n) return call('HINCRBY', k_meta, 'born', n) - n end
