-- takes: at, token, action, target, count
INSERT INTO notes (at, token, action, target, count) VALUES (:at, :token, :action, :target, :count)

-- :forget
-- All but the newest `kept`.
-- takes: kept
DELETE FROM notes WHERE number <= (SELECT max(number) FROM notes) - :kept

-- :page
-- Entries before a number, newest first: (number, at, token, action, target, count).
-- takes: before, n
SELECT number, at, token, action, target, count FROM notes WHERE number < :before ORDER BY number DESC LIMIT :n
