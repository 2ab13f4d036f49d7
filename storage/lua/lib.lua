-- What every script begins with. Before it the loader puts the fixed keys as locals: `k_<name>` (storage/keys.py).
--
-- ARGV[1]: prefix of every key, `{<namespace>}:`    ARGV[2]: now, microseconds; empty: Redis's own TIME
-- ARGV[3]: head start of one priority level         ARGV[4]: name of this very call, or empty (see `answer`)
-- ARGV[5]: what the call is about, MessagePack      ARGV[6...]: texts that MessagePack cannot hold, see the verb
local call, format, floor = redis.call, string.format, math.floor
local prefix, aging = ARGV[1], tonumber(ARGV[3])

-- A call that was answered before, and repeated since the answer was lost, answers the same again and does nothing.
if ARGV[4] ~= '' then
  local said = call('GET', prefix .. 'said:' .. ARGV[4])
  if said then return cmsgpack.unpack(said) end
end

local now = ARGV[2]
if now == '' then
  local time = call('TIME')
  now = time[1] .. format('%06d', time[2])
end
local clock = tonumber(now)
local items = cmsgpack.unpack(ARGV[5])

-- A whole number as text; `..` and `tostring` would round it. A command that is given the number itself has Redis write
-- it as a fraction, which takes several times as long.
local function text(number) return format('%d', number) end

-- A payload or result that stands in its task's hash: in pieces of 64 bytes, since a hash with a longer value takes
-- several times the memory (hash-max-listpack-value). One of more than NEAR bytes has a key of its own, which takes more
-- time than three pieces do.
local NEAR = 192

local function pieces(field, body) -- {field, piece, ...}
  local size = #body
  if size <= 64 then return { field, body } end
  local found = { field, string.sub(body, 1, 64), field .. '2', string.sub(body, 65, 128) }
  if size > 128 then found[5], found[6] = field .. '3', string.sub(body, 129) end
  return found
end

local function whole(t, field) -- nil where it has none; without what somebody has removed, which its checksum tells
  local second = t[field .. '2']
  if second then return (t[field] or '') .. second .. (t[field .. '3'] or '') end
  return t[field]
end

-- The answer of a call that has a name: kept for a minute.
local function answer(reply)
  if ARGV[4] ~= '' then call('SET', prefix .. 'said:' .. ARGV[4], cmsgpack.pack(reply), 'PX', 60000) end
  return reply
end

-- The next of a kept number. It never comes back, not even where a failover or a new dataset has forgotten the last ones:
-- whoever saw those would take it for what it knows.
local function fresh(field)
  local number = (call('HGET', k_meta, field) or 0) + 1
  local said = number > clock and text(number) or now
  call('HSET', k_meta, field, said)
  return said
end

-- A hash as a table; nil where there is none.
local function read(key)
  local flat = call('HGETALL', key)
  if #flat == 0 then return nil end
  local fields = {}
  for n = 1, #flat, 2 do fields[flat[n]] = flat[n + 1] end
  return fields
end
