-- :all
-- Every lane with its counts.
SELECT id, queue, handler, priority, ready, solo, delayed, failed, running, completed, dead, cancelled FROM lanes

-- :new
-- takes: queue, handler, priority
INSERT INTO lanes (queue, handler, priority) VALUES (:queue, :handler, :priority) RETURNING id

-- :put
-- takes: id, ready, solo, delayed, failed, running, completed, dead, cancelled
UPDATE lanes SET
    ready = :ready, solo = :solo, delayed = :delayed, failed = :failed, running = :running, completed = :completed,
    dead = :dead, cancelled = :cancelled
WHERE id = :id

-- :drop
-- takes: id
DELETE FROM lanes WHERE id = :id

-- :recount
-- The truth: (lane, place, count).
SELECT lane, place, count(*) FROM tasks GROUP BY lane, place

-- :last
-- The last task's number.
SELECT coalesce(max(seq), 0) FROM tasks

-- :paused
SELECT queue FROM paused
