#!lua flags=allow-oom
-- Move delayed tasks whose time has come into their lanes. Takes: {leader, epoch, limit}.
-- Answers {code, how many, {}, may be more}.
-- uses: lib, lib_index, lib_task, lib_member, lib_promote
if deposed() then return answer({ 'deposed' }) end
local done, more = promote(items[3])
settle()
return answer({ 'ok', done, {}, more })
