#!lua
-- Make the dataset known, or make it. Takes: {an id for a new one, schema, oldest schema that can read it, aging}.
-- Answers {id, schema, min_reader, aging}.
-- uses: lib
if call('EXISTS', k_meta) == 0 or not call('HGET', k_meta, 'dataset') then
  call('HSET', k_meta, 'dataset', items[1], 'schema', items[2], 'min_reader', items[3], 'aging', items[4])
end
return call('HMGET', k_meta, 'dataset', 'schema', 'min_reader', 'aging')
