-- What a running handler says of itself. Returns (place, lane), or no row.
-- takes: id, op, owner, fence, progress
UPDATE tasks SET
    op = CASE WHEN :op = '' THEN op ELSE :op END,
    progress = :progress
WHERE id = :id AND place = 'running' AND owner = :owner AND fence = :fence AND (:op = '' OR op <> :op)
    AND NOT EXISTS (SELECT 1 FROM members WHERE owner = :owner AND fenced)
RETURNING place, lane
