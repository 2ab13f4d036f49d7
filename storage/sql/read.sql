-- :statuses
-- The place of each task of a list that exists.
-- takes: ids
SELECT id, place FROM tasks WHERE id IN (SELECT value FROM json_each(:ids))

-- :counts
-- How many tasks stand at each place.
SELECT
    coalesce(sum(ready), 0), coalesce(sum(solo), 0), coalesce(sum(delayed), 0), coalesce(sum(failed), 0),
    coalesce(sum(running), 0), coalesce(sum(completed), 0), coalesce(sum(dead), 0), coalesce(sum(cancelled), 0)
FROM lanes

-- :lanes
-- Every lane that holds something: since when its oldest claimable task and its oldest suspect are eligible, its counts.
SELECT
    l.queue, l.handler,
    CASE WHEN l.ready THEN (SELECT min(eligible_at) FROM tasks WHERE place = 'ready' AND lane = l.id) END,
    CASE WHEN l.solo THEN (SELECT min(eligible_at) FROM tasks WHERE place = 'solo' AND lane = l.id) END,
    l.ready, l.solo, l.delayed, l.failed, l.running, l.completed, l.dead, l.cancelled
FROM lanes AS l
WHERE l.ready OR l.solo OR l.delayed OR l.failed OR l.running OR l.completed OR l.dead OR l.cancelled

-- :holding
-- The first `n` lanes that a filter asks for and that hold something at a place that is wanted (1; else 0), with counts.
-- takes: n, queue, handler, ready, solo, delayed, failed, running, completed, dead, cancelled
SELECT id, ready, solo, delayed, failed, running, completed, dead, cancelled FROM lanes
WHERE (:queue IS NULL OR queue = :queue) AND (:handler IS NULL OR handler = :handler)
    AND (
        ready AND :ready OR solo AND :solo OR delayed AND :delayed OR failed AND :failed OR running AND :running
        OR completed AND :completed OR dead AND :dead OR cancelled AND :cancelled
    )
LIMIT :n

-- :dead
-- Dead letters: (handler, cause, count).
SELECT l.handler, d.cause, sum(d.count) FROM (
    SELECT lane, cause, count(*) AS count FROM tasks WHERE place = 'dead' GROUP BY lane, cause
) AS d JOIN lanes AS l ON l.id = d.lane GROUP BY l.handler, d.cause ORDER BY l.handler, d.cause

-- :all
-- Task numbers below `before`, newest first.
-- takes: before, n
SELECT seq FROM tasks WHERE seq < :before ORDER BY seq DESC LIMIT :n

-- :listed
-- The same at one place of one lane.
-- takes: before, n, lane, place
SELECT seq FROM tasks WHERE lane = :lane AND place = :place AND seq < :before ORDER BY seq DESC LIMIT :n

-- :scheduled
-- The same of one schedule.
-- takes: before, n, schedule
SELECT seq FROM tasks WHERE schedule = :schedule AND seq < :before ORDER BY seq DESC LIMIT :n

-- :tagged
-- The same of one tag.
-- takes: before, n, tag
SELECT seq FROM tags WHERE tag = :tag AND seq < :before ORDER BY seq DESC LIMIT :n

-- :matching
-- Those of a list that match a filter, newest first; NULL matches everything.
-- takes: seqs, places, handler, queue, tag, schedule, cause, before, n
SELECT * FROM records WHERE seq IN (SELECT value FROM json_each(:seqs))
    AND (:places IS NULL OR place IN (SELECT value FROM json_each(:places)))
    AND (:handler IS NULL OR handler = :handler)
    AND (:queue IS NULL OR queue = :queue)
    AND (:tag IS NULL OR EXISTS (SELECT 1 FROM tags WHERE tags.tag = :tag AND tags.seq = records.seq))
    AND (:schedule IS NULL OR schedule = :schedule)
    AND (:cause IS NULL OR cause = :cause)
    AND (:before IS NULL OR created_at <= :before)
ORDER BY seq DESC LIMIT :n
