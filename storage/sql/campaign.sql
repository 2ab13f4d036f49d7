-- Become leader if the term is the one that the candidate saw; stay leader whatever beat it saw.
-- takes: owner, epoch, beat
UPDATE term SET
    beat = CASE WHEN owner IS :owner AND epoch = :epoch THEN beat + 1 ELSE 1 END,
    epoch = CASE WHEN owner IS :owner AND epoch = :epoch THEN epoch ELSE epoch + 1 END,
    owner = :owner
WHERE epoch = :epoch AND (beat = :beat OR owner IS :owner)
    AND EXISTS (SELECT 1 FROM members WHERE owner = :owner AND gone_at IS NULL AND ttl IS NULL)

-- :term
SELECT owner, epoch, beat FROM term
