-- :seat
-- An incarnation that may act: (node, request, draining).
-- takes: owner
SELECT node, request, draining FROM members WHERE owner = :owner AND gone_at IS NULL

-- :number
-- The claim that a repeat is told by.
-- takes: owner, request
UPDATE members SET request = :request WHERE owner = :owner

-- :ready
-- The next `n` of a lane after (eligible_at, id), first to run first: (eligible_at, id, seq).
-- takes: lane, eligible_at, id, n
SELECT eligible_at, id, seq FROM tasks
WHERE place = 'ready' AND lane = :lane AND (eligible_at, id) > (:eligible_at, :id)
ORDER BY eligible_at, id LIMIT :n

-- :solo
-- The same of the lane's suspects.
-- takes: lane, eligible_at, id, n
SELECT eligible_at, id, seq FROM tasks
WHERE place = 'solo' AND lane = :lane AND (eligible_at, id) > (:eligible_at, :id)
ORDER BY eligible_at, id LIMIT :n

-- :records
-- takes: seqs
SELECT * FROM records WHERE seq IN (SELECT value FROM json_each(:seqs))

-- :take
-- Give tasks (which were just looked at) to an owner.
-- takes: seqs, owner, node, request, now
UPDATE tasks SET
    place = 'running',
    owner = :owner,
    node = :node,
    request = :request,
    fence = max(fence + 1, :now),
    attempt = attempt + 1,
    started_at = :now,
    progress = NULL
WHERE seq IN (SELECT value FROM json_each(:seqs)) AND place IN ('ready', 'solo')

-- :taken
-- What a claim took and its owner still holds.
-- takes: owner, request
SELECT * FROM records WHERE place = 'running' AND owner = :owner AND request = :request

-- :since
-- Since when a lane's suspects wait.
-- takes: lane
SELECT min(due_at) FROM tasks WHERE place = 'solo' AND lane = :lane

-- :due
-- When the next delayed task is due.
SELECT due_at FROM tasks WHERE place IN ('delayed', 'failed') ORDER BY due_at, id LIMIT 1
