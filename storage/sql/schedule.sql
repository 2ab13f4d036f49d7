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
