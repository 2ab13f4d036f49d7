-- :held
-- What an incarnation holds, in the order of its claims.
-- takes: owner, n
SELECT * FROM records WHERE place = 'running' AND owner = :owner ORDER BY started_at, id LIMIT :n

-- :expired
-- Waiting tasks that are over, the earliest first.
-- takes: now, n
SELECT seq FROM tasks
WHERE expires_at IS NOT NULL AND place IN ('ready', 'solo', 'delayed', 'failed') AND expires_at <= :now
ORDER BY expires_at, id LIMIT :n

-- :old
-- How many of the first `n` finished tasks ended before a moment.
-- takes: place, before, n
SELECT count(*) FROM (
    SELECT 1 FROM tasks WHERE finished_at IS NOT NULL AND place = :place AND finished_at < :before LIMIT :n
)

-- :prune
-- Delete the first `n` finished tasks. Returns (id, lane) of each.
-- takes: place, n
DELETE FROM tasks WHERE seq IN (
    SELECT seq FROM tasks WHERE finished_at IS NOT NULL AND place = :place ORDER BY finished_at, id LIMIT :n
) RETURNING id, lane

-- :keys
-- takes: before, n
DELETE FROM keys WHERE key IN (SELECT key FROM keys WHERE at <= :before ORDER BY at LIMIT :n)

-- :lost
-- What is in the hands of owners that nobody knows.
-- takes: n
SELECT seq FROM tasks
WHERE place = 'running'
    AND NOT EXISTS (SELECT 1 FROM members AS m WHERE m.owner = tasks.owner AND (m.gone_at IS NULL OR m.fenced))
LIMIT :n
