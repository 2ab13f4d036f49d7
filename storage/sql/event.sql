-- :current
-- The task of an owner's event: (seq, lane, solo, retries_left, keep_result). No row where the owner does not hold it under
-- this fence (any more), or the event is a repeat; then nothing may change.
-- (A separate read, since RETURNING would make each of the updates twice as slow.)
-- takes: id, op, owner, fence
SELECT seq, lane, solo, retries_left, keep_result FROM tasks
WHERE id = :id AND place = 'running' AND owner = :owner AND fence = :fence AND (:op = '' OR op <> :op)
    AND NOT EXISTS (SELECT 1 FROM members WHERE owner = :owner AND fenced)

-- :state
-- Why `current` found no row: (op, place).
-- takes: id
SELECT op, place FROM tasks WHERE id = :id

-- :record
-- takes: id
SELECT * FROM records WHERE id = :id

-- :put
-- Write what the table of states made of a task. (Only a completed task has a result, and it does not change any more.)
-- takes: seq, lane, place, tags, eligible_at, due_at, expires_at, retries_left, solo, attempt, crashes, generation, owner, op, started_at, finished_at, progress, error_type, error_message, cause, history
UPDATE tasks SET
    lane = :lane, place = :place, tags = :tags, eligible_at = :eligible_at, due_at = :due_at, expires_at = :expires_at,
    retries_left = :retries_left, solo = :solo, attempt = :attempt, crashes = :crashes, generation = :generation,
    owner = :owner, op = :op, started_at = :started_at, finished_at = :finished_at, progress = :progress,
    error_type = :error_type, error_message = :error_message, cause = :cause, history = :history
WHERE seq = :seq

-- :untag
-- takes: tag, seq
DELETE FROM tags WHERE tag = :tag AND seq = :seq

-- :delete
-- takes: seq
DELETE FROM tasks WHERE seq = :seq

-- :mend
-- A history that is none is begun anew: nothing could be added to it.
-- takes: id
UPDATE tasks SET history = '[]' WHERE id = :id AND NOT json_valid(history)
