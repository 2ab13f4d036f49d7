-- A draft becomes a task. A draft is {id, lane, the end of its text, digest, priority, keep_result, tags, delay, run_at,
-- expires_at, key, schedule, capacity}; its payload is a text of ARGV. The text of a task is a mark, lane, number, time,
-- priority, checksum, timeout, retries, size of the digest, then the digest and the payload. The mark is `=` or `-` (does
-- the payload stand in it?), `:` or `.` where no result is to be kept, `+` or `~` where it has a hash from the beginning.
-- What not every task has goes into a hash, so one that has none waits as it was born.
local births = {} -- lane -> {numbers and ids of its new tasks, ranks and ids of those that are ready}
local birth_texts, birth_hashes = {}, {} -- key, text, key, text ...; {key, field, value, ...} each

local function has(hash, id, field, value)
  hash = hash or { prefix .. 'task:' .. id }
  local at = #hash
  hash[at + 1], hash[at + 2] = field, value
  return hash
end

-- Draft `n` is to be number `no`. `end_births` has to follow.
local function bear(n, d, no)
  local id, lane, payload = d[1], d[2], ARGV[5 + n]
  no = text(no)
  local eligible, due = clock, clock
  local hash, far
  if #payload > NEAR then
    call('SET', prefix .. 'body:' .. id, payload)
    if #payload > 65536 then hash = has(hash, id, 'big', '1') end
    far = true
  end
  local born = births[lane]
  if not born then
    born = { {}, {} }
    births[lane] = born
  end
  local list = born[1]
  local at = #list
  list[at + 1], list[at + 2] = no, id
  if d[8] ~= 0 or d[9] then
    eligible = clock + d[8]
    if d[9] and d[9] > eligible then eligible = d[9] end
    due = d[12] and d[9] or eligible -- a schedule's due time that has passed is when it is due, all the same
  end
  if due > clock then
    hash = has(hash, id, 'del', '1')
    enter(k_delayed, due, id)
  else
    list = born[2]
    at = #list
    list[at + 1], list[at + 2] = text(eligible - d[5] * aging), id
  end
  if eligible > clock then hash = has(hash, id, 'el', eligible) end
  if due ~= eligible then hash = has(hash, id, 'due', due) end
  if d[10] then
    hash = has(hash, id, 'exp', d[10])
    enter(k_expiry, d[10], id)
  end
  if d[7] then
    hash = has(hash, id, 'tag', d[7])
    for tag in string.gmatch(d[7], '[^/]+') do enter(prefix .. 'tag:' .. tag, no, id) end
  end
  if d[11] then hash = has(hash, id, 'key', d[11]) end
  if d[12] then
    hash = has(hash, id, 'sch', d[12])
    enter(prefix .. 'made:' .. d[12], no, id)
    enter(prefix .. 'busy:' .. d[12], no, id)
  end
  local mark
  if hash then
    if not d[6] then hash = has(hash, id, 'keep', '0') end
    birth_hashes[#birth_hashes + 1] = hash
    mark = far and '~' or '+'
  elseif d[6] then
    mark = far and '-' or '='
  else
    mark = far and '.' or ':'
  end
  at = #birth_texts
  birth_texts[at + 1] = prefix .. 'born:' .. id
  birth_texts[at + 2] = mark .. lane .. '/' .. no .. '/' .. now .. '/' .. d[3] .. (far and '' or payload)
end

-- Write what was born, and put it where it belongs.
local function end_births()
  if birth_texts[1] then call('MSET', unpack(birth_texts)) end
  for _, hash in ipairs(birth_hashes) do call('HSET', unpack(hash)) end
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
