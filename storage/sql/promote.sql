-- :due
-- Delayed tasks whose time has come, earliest first: (seq, lane, place, solo).
-- takes: now, n
SELECT seq, lane, place, solo FROM tasks WHERE place IN ('delayed', 'failed') AND due_at <= :now
ORDER BY due_at, id LIMIT :n

-- :move
-- takes: seqs
UPDATE tasks SET place = CASE WHEN solo THEN 'solo' ELSE 'ready' END
WHERE seq IN (SELECT value FROM json_each(:seqs)) AND place IN ('delayed', 'failed')
