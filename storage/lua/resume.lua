#!lua flags=allow-oom
-- Claims from a queue go on. Takes: {queue}. Answers {code}.
-- uses: lib
call('SREM', k_paused, items[1])
redis.pcall('PUBLISH', prefix .. 'wake', items[1] .. '/')
return { 'ok' }
