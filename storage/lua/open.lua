#!lua
-- Make the dataset known, or make it. Takes: {an id for a new one, schema, oldest schema that can read it, aging, oldest
-- schema that this version reads}: data of a schema between is marked as of this one, before anything of it is written.
-- Answers {id, schema, min_reader, aging}.
-- uses: lib
if call('EXISTS', k_meta) == 0 or not call('HGET', k_meta, 'dataset') then
  call('HSET', k_meta, 'dataset', items[1], 'schema', items[2], 'min_reader', items[3], 'aging', items[4])
else
  for n, field in ipairs({ 'schema', 'min_reader', 'aging' }) do call('HSETNX', k_meta, field, items[n + 1]) end
  local schema, reader = unpack(call('HMGET', k_meta, 'schema', 'min_reader'))
  schema, reader = tonumber(schema), tonumber(reader)
  if schema and reader and schema >= items[5] and schema < items[2] and reader <= items[2] then
    call('HSET', k_meta, 'schema', items[2], 'min_reader', items[3])
  end
end
return call('HMGET', k_meta, 'dataset', 'schema', 'min_reader', 'aging')
