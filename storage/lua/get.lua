#!lua flags=no-writes
-- Takes: {id}. Answers the task: {fields, payload, result}, or false.
-- uses: lib, lib_index, lib_task
local t = load(items[1])
return t and shown(t) or false
