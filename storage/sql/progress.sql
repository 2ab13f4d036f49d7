-- What a running handler says of itself (`event.current` found it).
-- takes: seq, op, progress
UPDATE tasks SET
    op = CASE WHEN :op = '' THEN op ELSE :op END,
    progress = :progress
WHERE seq = :seq
