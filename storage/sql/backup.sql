-- :payloads
-- The payload of every task, and its checksum.
SELECT id, payload, checksum FROM records

-- :payload
-- The payload of one task.
-- takes: id
SELECT payload FROM records WHERE id = :id
