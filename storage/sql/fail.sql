-- The owner's run failed (`event.current` found it): it waits for its backoff, or is dead-lettered where no retry is left.
-- takes: seq, op, now, type, message, cause, outcome, delay, final
UPDATE tasks SET
    place = CASE WHEN :final OR retries_left = 0 THEN 'dead' ELSE 'failed' END,
    owner = NULL,
    op = CASE WHEN :op = '' THEN op ELSE :op END,
    finished_at = CASE WHEN :final OR retries_left = 0 THEN :now END,
    due_at = CASE WHEN :final OR retries_left = 0 THEN due_at ELSE :now + :delay END,
    retries_left = CASE WHEN :final OR retries_left = 0 THEN retries_left ELSE retries_left - 1 END,
    error_type = :type,
    error_message = :message,
    cause = :cause,
    history = json_insert(
        CASE WHEN json_array_length(history) < 20 THEN history ELSE json_remove(history, '$[0]') END, '$[#]',
        json_array(attempt, generation, coalesce(node, ''), coalesce(started_at, :now), :now, :outcome, json_array(:type, :message, :cause))
    )
WHERE seq = :seq
