#!lua flags=allow-oom
-- Failed tasks run now, not after the backoff. Takes: {{id, op}, ...}. Answers {code, task} each.
-- uses: lib, lib_index, lib_task
return operate('F', function(t, item)
  return shown(change(t, note({ st = 'P', del = false, due = now }, item[2])))
end)
