-- A task is born, unless its id is taken: then no row is changed.
-- takes: seq, id, lane, place, created_at, eligible_at, due_at, expires_at, timeout, retries, keep_result, checksum, digest, tags, key, schedule, payload
INSERT INTO tasks (
    seq, id, lane, place, created_at, eligible_at, due_at, expires_at, timeout, retries, retries_left, keep_result,
    checksum, digest, tags, key, schedule, payload
) VALUES (
    :seq, :id, :lane, :place, :created_at, :eligible_at, :due_at, :expires_at, :timeout, :retries, :retries,
    :keep_result, :checksum, :digest, :tags, :key, :schedule, :payload
) ON CONFLICT (id) DO NOTHING

-- :twin
-- What stands under an id: (digest, place, created_at).
-- takes: id
SELECT digest, place, created_at FROM tasks WHERE id = :id

-- :payload
-- A payload too large for its row.
-- takes: seq, body
INSERT INTO payloads VALUES (:seq, :body)

-- :tag
-- takes: tag, seq
INSERT OR IGNORE INTO tags VALUES (:tag, :seq)

-- :known
-- The first answer to an idempotency key: (digest, task, at).
-- takes: key, since
SELECT digest, task, at FROM keys WHERE key = :key AND at > :since

-- :key
-- takes: key, digest, task, at
INSERT OR REPLACE INTO keys VALUES (:key, :digest, :task, :at)
