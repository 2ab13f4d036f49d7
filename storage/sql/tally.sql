-- Add counts to those of a minute. What is counted by handler (its name holds an @) is a detail.
-- takes: minute, counts
INSERT INTO tallies (detail, minute, name, count)
SELECT instr(key, '@') > 0, :minute, key, value FROM json_each(:counts) WHERE TRUE
ON CONFLICT (detail, minute, name) DO UPDATE SET count = count + excluded.count

-- :gauges
-- Say how much there is of something.
-- takes: minute, gauges
INSERT OR REPLACE INTO tallies (detail, minute, name, count)
SELECT instr(key, '@') > 0, :minute, key, value FROM json_each(:gauges)

-- :since
-- All counts from a minute on: (minute, name, count).
-- takes: since
SELECT minute, name, count FROM tallies WHERE detail IN (0, 1) AND minute >= :since ORDER BY minute

-- :forget
-- takes: detail, before, n
DELETE FROM tallies WHERE detail = :detail AND (minute, name) IN (
    SELECT minute, name FROM tallies WHERE detail = :detail AND minute < :before ORDER BY minute LIMIT :n
)
