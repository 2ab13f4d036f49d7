-- The owner's run ended well (`event.current` found it).
-- takes: seq, op, now, result
UPDATE tasks SET
    place = 'completed',
    owner = NULL,
    op = CASE WHEN :op = '' THEN op ELSE :op END,
    finished_at = :now,
    result = CASE WHEN keep_result THEN :result END,
    error_type = NULL,
    error_message = NULL,
    cause = NULL,
    solo = 0,
    history = json_insert(
        CASE WHEN json_array_length(history) < 20 THEN history ELSE json_remove(history, '$[0]') END, '$[#]',
        json_array(attempt, generation, coalesce(node, ''), coalesce(started_at, :now), :now, 'completed', NULL)
    )
WHERE seq = :seq

-- :result
-- A result too large for its row.
-- takes: seq, body
INSERT OR REPLACE INTO results VALUES (:seq, :body)
