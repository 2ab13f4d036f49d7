-- :statuses
-- The place of each task of a list that exists.
-- takes: ids
SELECT id, place FROM tasks WHERE id IN (SELECT value FROM json_each(:ids))

-- :lanes
-- Every lane with its counts, and since when its oldest claimable task is eligible.
SELECT
    l.queue, l.handler, l.ready, l.solo, l.delayed, l.failed, l.running, l.completed, l.dead, l.cancelled,
    (SELECT min(eligible_at) FROM tasks WHERE place = 'ready' AND lane = l.id),
    (SELECT min(eligible_at) FROM tasks WHERE place = 'solo' AND lane = l.id)
FROM lanes AS l

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
