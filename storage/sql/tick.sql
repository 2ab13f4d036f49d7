-- Move a schedule's cursor, if both cursor and generation are the ones that the leader saw; not where it is paused and
-- something would run.
-- takes: id, generation, cursor, runs, upto, ran_at, skipped
UPDATE schedules SET cursor = :upto, last_run_at = coalesce(:ran_at, last_run_at), skipped = :skipped
WHERE id = :id AND generation = :generation AND cursor = :cursor AND NOT (paused AND :runs)
