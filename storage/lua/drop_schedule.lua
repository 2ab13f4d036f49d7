#!lua flags=allow-oom
-- Delete a schedule; its tasks stay. Takes: {id}. Answers {code}.
-- uses: lib
if call('SREM', k_schedules, items[1]) == 0 then return answer({ 'not-found' }) end
call('UNLINK', prefix .. 'schedule:' .. items[1])
fresh('revision')
return answer({ 'ok' })
