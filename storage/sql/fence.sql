-- Declare an incarnation dead, if it has not beaten since.
-- takes: owner, beat, now
UPDATE members SET fenced = 1, gone_at = :now WHERE owner = :owner AND beat = :beat AND NOT fenced
