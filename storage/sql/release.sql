-- The owner gives it back (`event.current` found it); nothing is charged.
-- takes: seq, op, now
UPDATE tasks SET
    place = CASE WHEN solo THEN 'solo' ELSE 'ready' END,
    owner = NULL,
    op = CASE WHEN :op = '' THEN op ELSE :op END,
    due_at = min(due_at, :now),
    attempt = attempt - 1,
    history = json_insert(
        CASE WHEN json_array_length(history) < 20 THEN history ELSE json_remove(history, '$[0]') END, '$[#]',
        json_array(attempt, generation, coalesce(node, ''), coalesce(started_at, :now), :now, 'released', NULL)
    )
WHERE seq = :seq
