-- :opened
-- A first write, which shows that there can be others.
-- takes: now
INSERT OR REPLACE INTO meta (name, value) VALUES ('opened', :now)

-- :room
-- Take up room, as what is submitted does.
-- takes: bytes
INSERT OR REPLACE INTO meta (name, value) VALUES ('room', hex(zeroblob(:bytes / 2)))

-- :room_over
DELETE FROM meta WHERE name = 'room'
