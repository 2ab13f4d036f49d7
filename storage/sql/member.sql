-- :all
-- Every node's incarnation, oldest first.
SELECT
    owner, node, host, pid, workers, queues, handlers, started_at, beat, beat_at, running, draining, fenced,
    gone_at IS NOT NULL
FROM members WHERE ttl IS NULL ORDER BY number

-- :state
-- takes: owner
SELECT fenced, gone_at, ttl FROM members WHERE owner = :owner

-- :fence_others
-- takes: owner, now
UPDATE members SET fenced = 1, gone_at = :now WHERE gone_at IS NULL AND ttl IS NULL AND owner <> :owner

-- :namesake
-- Another live incarnation of a node.
-- takes: owner, node
SELECT owner FROM members WHERE gone_at IS NULL AND ttl IS NULL AND node = :node AND owner <> :owner LIMIT 1

-- :register
-- A new incarnation, or what a live one says anew of itself.
-- takes: owner, node, host, pid, workers, queues, handlers, now
INSERT INTO members (owner, node, host, pid, workers, queues, handlers, started_at, beat_at)
VALUES (:owner, :node, :host, :pid, :workers, :queues, :handlers, :now, :now)
ON CONFLICT (owner) DO UPDATE SET
    node = excluded.node, host = excluded.host, pid = excluded.pid, workers = excluded.workers,
    queues = excluded.queues, handlers = excluded.handlers

-- :beat
-- takes: owner, now, running
UPDATE members SET beat = beat + 1, beat_at = :now, running = :running
WHERE owner = :owner AND gone_at IS NULL AND ttl IS NULL

-- :beats
-- The beat count of every node's live incarnation.
SELECT owner, beat FROM members WHERE gone_at IS NULL AND ttl IS NULL ORDER BY number

-- :done
-- takes: owner, numbers
DELETE FROM orders WHERE owner = :owner AND number IN (SELECT value FROM json_each(:numbers))

-- :orders
-- takes: owner
SELECT number, kind, task, fence FROM orders WHERE owner = :owner ORDER BY number

-- :holds
-- takes: owner
SELECT 1 FROM tasks WHERE place = 'running' AND owner = :owner LIMIT 1

-- :held
-- What an incarnation holds, in the order of its claims.
-- takes: owner
SELECT id, fence FROM tasks WHERE place = 'running' AND owner = :owner ORDER BY started_at, id

-- :leave
-- takes: owner, now
UPDATE members SET gone_at = :now, running = 0 WHERE owner = :owner AND gone_at IS NULL

-- :drain
-- takes: node, draining
UPDATE members SET draining = :draining WHERE gone_at IS NULL AND ttl IS NULL AND node = :node

-- :order_drain
-- takes: node, kind
INSERT INTO orders (owner, kind, task, fence)
SELECT owner, :kind, '', 0 FROM members WHERE gone_at IS NULL AND ttl IS NULL AND node = :node

-- :order_cancel
-- Tell a live node that its run is not wanted any more.
-- takes: owner, task, fence
INSERT INTO orders (owner, kind, task, fence)
SELECT owner, 'cancel', :task, :fence FROM members WHERE owner = :owner AND gone_at IS NULL AND ttl IS NULL

-- :forget_orders
-- Whoever is gone has nothing to do.
DELETE FROM orders WHERE owner NOT IN (SELECT owner FROM members WHERE gone_at IS NULL)

-- :forget
-- Those gone since before a moment, but nobody in whose hands there is a task still.
-- takes: before, leases_before
DELETE FROM members WHERE gone_at < max(:before, :leases_before) AND gone_at < iif(ttl IS NULL, :before, :leases_before)
    AND NOT EXISTS (SELECT 1 FROM tasks WHERE place = 'running' AND owner = members.owner)

-- :lease
-- A worker from outside begins a lease, or goes on with it.
-- takes: owner, node, ttl, now
INSERT INTO members (owner, node, host, pid, workers, queues, handlers, started_at, beat, beat_at, ttl)
VALUES (:owner, :node, '', 0, 0, '[]', '[]', :now, 1, :now, :ttl)
ON CONFLICT (owner) DO UPDATE SET node = excluded.node, ttl = excluded.ttl, beat = beat + 1, beat_at = excluded.beat_at

-- :renew
-- The holder of a lease lives, if it holds this task.
-- takes: owner, task, fence, now
UPDATE members SET beat = beat + 1, beat_at = :now WHERE owner = :owner AND gone_at IS NULL AND ttl IS NOT NULL
    AND EXISTS (SELECT 1 FROM tasks WHERE id = :task AND place = 'running' AND owner = :owner AND fence = :fence)

-- :leases
-- Every lease that is not over, or was fenced.
SELECT owner, node, ttl, beat, fenced FROM members
WHERE ttl IS NOT NULL AND (gone_at IS NULL OR fenced) ORDER BY owner

-- :untrace
-- A lease under which nothing was taken.
-- takes: owner
DELETE FROM members WHERE owner = :owner AND gone_at IS NULL AND ttl IS NOT NULL
