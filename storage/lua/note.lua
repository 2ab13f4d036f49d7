#!lua
-- An entry of the audit log. Takes: {token, action, target, count, how many are kept}. Answers {code}.
-- uses: lib
call('LPUSH', k_notes, cmsgpack.pack({ clock, items[1], items[2], items[3], items[4] }))
call('LTRIM', k_notes, 0, items[5] - 1)
call('HINCRBY', k_meta, 'noted', 1)
return answer({ 'ok' })
