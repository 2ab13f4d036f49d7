-- Several sorted lists read as one, lowest first. A list is {key, ...} and grows the fields `score` and `id` of its
-- head; `fetch(list, from, count)` reads {id, score, id, score, ...}.

-- Move a list to its next entry; false where there is none.
local function advance(list, fetch)
  local at = list.at + 2
  if at > list.len then
    if list.dry then return false end
    list.page = fetch(list, list.from, list.step)
    list.len = #list.page
    list.from = list.from + list.step
    list.dry = list.len < 2 * list.step
    list.step = list.step * 2
    at = 1
    if list.len == 0 then return false end
  end
  list.at, list.id, list.score = at, list.page[at], tonumber(list.page[at + 1])
  return true
end

local function open_list(key, step)
  return { key = key, at = -1, len = 0, from = 0, step = step, dry = false }
end

local function before(a, b) return a.score < b.score or (a.score == b.score and a.id < b.id) end

-- Put the list at place `n` of the heap where it belongs.
local function sink(heap, n)
  local list, size = heap[n], #heap
  while true do
    local child = 2 * n
    if child > size then break end
    if child < size and before(heap[child + 1], heap[child]) then child = child + 1 end
    if before(list, heap[child]) then break end
    heap[n] = heap[child]
    n = child
  end
  heap[n] = list
end

local function heapify(heap)
  for n = floor(#heap / 2), 1, -1 do sink(heap, n) end
end

-- The head of the heap was used: on to the next one.
local function pop(heap, fetch)
  heap[1].more = advance(heap[1], fetch)
  if not heap[1].more then
    heap[1] = heap[#heap]
    heap[#heap] = nil
    if #heap == 0 then return end
  end
  sink(heap, 1)
end
