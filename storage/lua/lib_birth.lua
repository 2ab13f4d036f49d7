-- A draft becomes a task. A draft is {id, lane, what its field `new` holds, digest, priority, keep_result, tags, delay,
-- run_at, expires_at, key, schedule, capacity}; its payload is a text of ARGV.
local births = {} -- lane -> {numbers and ids of its new tasks, ranks and ids of those that are ready}

-- Store draft `n` as number `no`. `end_births` has to follow.
local function bear(n, d, no)
  local id, lane, payload = d[1], d[2], ARGV[5 + n]
  no = text(no)
  local key = prefix .. 'task:' .. id
  local eligible, due = clock, clock
  if d[8] ~= 0 or d[9] then
    eligible = clock + d[8]
    if d[9] and d[9] > eligible then eligible = d[9] end
    due = d[12] and d[9] or eligible -- a schedule's due time that has passed is when it is due, all the same
  end
  local body
  if #payload > NEAR then
    call('SET', prefix .. 'body:' .. id, payload)
    body = #payload > 65536 and { 'big', '1' } or {}
  else
    body = pieces('pay', payload)
  end
  call('HSET', key, 'ln', lane, 'st', 'P', 'no', no, 'at', now, 'new', d[3], unpack(body))
  local born = births[lane]
  if not born then
    born = { {}, {} }
    births[lane] = born
  end
  local list = born[1]
  local at = #list
  list[at + 1], list[at + 2] = no, id
  if due > clock then
    call('HSET', key, 'del', '1')
    enter(k_delayed, due, id)
  else
    list = born[2]
    at = #list
    list[at + 1], list[at + 2] = text(eligible - d[5] * aging), id
  end
  if eligible > clock then call('HSET', key, 'el', eligible) end
  if due ~= eligible then call('HSET', key, 'due', due) end
  if not d[6] then call('HSET', key, 'keep', '0', 'odd', '1') end
  if d[10] then
    call('HSET', key, 'exp', d[10])
    enter(k_expiry, d[10], id)
  end
  if d[7] then
    call('HSET', key, 'tag', d[7])
    for tag in string.gmatch(d[7], '[^/]+') do enter(prefix .. 'tag:' .. tag, no, id) end
  end
  if d[11] then call('HSET', key, 'key', d[11]) end
  if d[12] then
    call('HSET', key, 'sch', d[12], 'odd', '1')
    enter(prefix .. 'made:' .. d[12], no, id)
    enter(prefix .. 'busy:' .. d[12], no, id)
  end
end

-- Put what was born where it belongs.
local function end_births()
  for lane, born in pairs(births) do
    come[prefix .. 'list:P/' .. lane] = born[1]
    if born[2][1] then
      come[prefix .. 'ready:' .. lane] = born[2]
      ready[lane] = true
    end
    count('P', lane, #born[1] / 2)
  end
  settle()
end

-- Numbers by creation for `n` drafts: the first is one more than the answer.
local function numbers(n) return call('HINCRBY', k_meta, 'born', n) - n end
