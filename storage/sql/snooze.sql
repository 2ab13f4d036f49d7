-- The handler asks to run later (`event.current` found it); nothing is charged, and suspicion is over.
-- takes: seq, op, now, delay
UPDATE tasks SET
    place = CASE WHEN :delay > 0 THEN 'delayed' ELSE 'ready' END,
    owner = NULL,
    op = CASE WHEN :op = '' THEN op ELSE :op END,
    due_at = :now + :delay,
    eligible_at = :now + :delay,
    attempt = attempt - 1,
    crashes = 0,
    solo = 0,
    history = json_insert(
        CASE WHEN json_array_length(history) < 20 THEN history ELSE json_remove(history, '$[0]') END, '$[#]',
        json_array(attempt, generation, coalesce(node, ''), coalesce(started_at, :now), :now, 'snoozed', NULL)
    )
WHERE seq = :seq
