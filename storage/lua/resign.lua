#!lua flags=allow-oom
-- Stop leading. Takes: {owner, epoch}. Answers {code}.
-- uses: lib, lib_member
if deposed() then return answer({ 'deposed' }) end
call('HDEL', k_term, 'owner')
redis.pcall('PUBLISH', prefix .. 'wake', '!')
return answer({ 'ok' })
