-- The handler asks to run later; nothing is charged, and suspicion is over. Returns (place, lane), or no row.
-- takes: id, op, owner, fence, now, delay
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
WHERE id = :id AND place = 'running' AND owner = :owner AND fence = :fence AND (:op = '' OR op <> :op)
    AND NOT EXISTS (SELECT 1 FROM members WHERE owner = :owner AND fenced)
RETURNING place, lane
