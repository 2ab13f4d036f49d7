#!lua flags=allow-oom
-- No node claims from a queue any more. Takes: {queue}. Answers {code}.
-- uses: lib
call('SADD', k_paused, items[1])
return { 'ok' }
