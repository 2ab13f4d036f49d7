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
    list.step = list.from -- as many as were read until now
    at = 1
    if list.len == 0 then return false end
  end
  list.at, list.id, list.score = at, list.page[at], tonumber(list.page[at + 1])
  return true
end

local function open_list(key, step)
  return { key = key, at = -1, len = 0, from = 0, step = step, dry = false }
end

-- Put the list at place `n` of the heap where it belongs: by the score of its head, then by its id. Written out, since a
-- claim does it for each task, and a function for the comparison costs more than comparing.
local function sink(heap, n)
  local list, size = heap[n], #heap
  local score, id = list.score, list.id
  while true do
    local at = 2 * n
    local child = heap[at]
    if not child then break end
    local its = child.score
    local other = heap[at + 1]
    if other then
      local others = other.score
      if others < its or (others == its and other.id < child.id) then at, child, its = at + 1, other, others end
    end
    if score < its or (score == its and id < child.id) then break end
    heap[n] = child
    n = at
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
