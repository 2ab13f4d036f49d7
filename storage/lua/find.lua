#!lua flags=no-writes
-- A page of tasks, newest first. Takes: {{state, queue, handler, tag, schedule, cause, before}, limit, how many entries
-- are examined, bytes that end a page, number of the last one seen or false}; each of the filter false where it is not
-- set. Answers {tasks, number of the last one seen or false}.
-- uses: lib, lib_index, lib_task, lib_merge
local filter, limit, most, room, upto = items[1], items[2], items[3], items[4], items[5]
local state, queue, handler, tag, schedule, cause, created = unpack(filter, 1, 7)
local keys, size = {}, 0 -- the lists to be merged, and how much they hold together

for _, cell in ipairs(call('HKEYS', k_counts)) do
  local its, lane = string.sub(cell, 1, 1), string.sub(cell, 3)
  if its ~= 'R' and (not state or state == its) then
    local of, by = string.match(lane, '^([^/]*)/(.*)$')
    if (not queue or queue == of) and (not handler or handler == by) then
      keys[#keys + 1] = prefix .. 'list:' .. cell
    end
  end
end
if not state or state == 'R' then
  for _, owner in ipairs(call('SMEMBERS', k_owners)) do keys[#keys + 1] = prefix .. 'run:' .. owner end
end
if tag or schedule then
  for _, key in ipairs(keys) do size = size + call('ZCARD', key) end
  for _, key in ipairs({ tag and prefix .. 'tag:' .. tag, schedule and prefix .. 'made:' .. schedule }) do
    local n = key and call('ZCARD', key)
    if n and n <= size then keys, size = { key }, n end
  end
end

-- Scores are numbers by creation, highest first: so they are turned round.
local function fetch(list, from, step)
  local page = call('ZRANGE', list.key, upto and '(' .. text(upto) or '+inf', '-inf', 'BYSCORE', 'REV', 'LIMIT', from,
    step, 'WITHSCORES')
  for n = 2, #page, 2 do page[n] = -page[n] end
  if list.held then
    for n = 1, #page, 2 do page[n] = id_of(page[n]) end
  end
  return page
end

local function matches(t)
  local of, by = string.match(t.ln, '^([^/]*)/(.*)$')
  return (not state or t.st == state)
    and (not queue or of == queue)
    and (not handler or by == handler)
    and (not tag or string.find('/' .. (t.tag or '') .. '/', '/' .. tag .. '/', 1, true) ~= nil)
    and (not schedule or t.sch == schedule)
    and (not cause or t.cau == cause)
    and (not created or t.at + 0 <= created)
end

local heap, found, looked, bytes, last = {}, {}, 0, 0, false
for _, key in ipairs(keys) do
  local list = open_list(key, 1 + floor(math.min(limit, most) / #keys))
  list.held = string.sub(key, #prefix + 1, #prefix + 4) == 'run:'
  if advance(list, fetch) then heap[#heap + 1] = list end
end
heapify(heap)
while heap[1] and looked < most and #found < limit and bytes < room do
  local list = heap[1]
  looked, last = looked + 1, -list.score
  local t = load(list.id)
  if t and matches(t) then
    local row = shown(t)
    found[#found + 1] = row
    bytes = bytes + #(row[2] or '') + #(row[3] or '')
  end
  pop(heap, fetch)
end
return { found, heap[1] and text(last) or false }
