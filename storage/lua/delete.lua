#!lua flags=allow-oom
-- Remove finished tasks. Takes: {{id, op}, ...}. Answers {code, task as it was} each.
-- uses: lib, lib_index, lib_task
return operate('CDX', function(t)
  local was = shown(t)
  remove(t)
  return was
end)
