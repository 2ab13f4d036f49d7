#!lua flags=no-writes
-- Takes: {how many, number of the last one seen or false}. Answers {entries, number of the last or false}, newest first.
-- uses: lib
local noted = tonumber(call('HGET', k_meta, 'noted') or 0)
local newer = items[2] and math.max(0, noted - items[2] + 1) or 0
local page = call('LRANGE', k_notes, newer, newer + items[1])
local more = #page > items[1]
if more then page[#page] = nil end
return { page, more and text(noted - newer - #page + 1) or false }
