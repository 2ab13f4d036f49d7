-- takes: queue
DELETE FROM paused WHERE queue = :queue
