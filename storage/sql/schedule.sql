-- :all
-- Every schedule, by id.
SELECT id, spec, cursor, paused, generation, last_run_at, skipped FROM schedules ORDER BY id

-- :one
-- takes: id
SELECT id, spec, cursor, paused, generation, last_run_at, skipped FROM schedules WHERE id = :id

-- :generation
-- The next generation of an id; it survives the schedule.
-- takes: id
INSERT INTO generations VALUES (:id, 1) ON CONFLICT (schedule) DO UPDATE SET last = last + 1 RETURNING last

-- :put
-- takes: id, spec, cursor, paused, generation, last_run_at, skipped
INSERT OR REPLACE INTO schedules VALUES (:id, :spec, :cursor, :paused, :generation, :last_run_at, :skipped)

-- :drop
-- takes: id
DELETE FROM schedules WHERE id = :id

-- :busy
-- Is a task of it not finished?
-- takes: id
SELECT 1 FROM tasks WHERE schedule = :id AND finished_at IS NULL LIMIT 1

-- :revise
-- Some schedule was put or dropped.
UPDATE revision SET number = number + 1

-- :revision
SELECT number FROM revision
