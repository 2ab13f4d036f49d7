-- takes: queue
INSERT OR IGNORE INTO paused VALUES (:queue)
