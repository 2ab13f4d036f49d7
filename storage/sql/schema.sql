-- Everything that the file holds. `place` says which index holds a task: a delayed task that failed before is at 'failed'.
-- A lane is one handler in one queue at one priority: inside it the order of running is the order of `eligible_at`.

CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE lanes (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    queue TEXT NOT NULL,
    handler TEXT NOT NULL,
    priority INTEGER NOT NULL,
    ready INTEGER NOT NULL DEFAULT 0,
    solo INTEGER NOT NULL DEFAULT 0,
    delayed INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0,
    running INTEGER NOT NULL DEFAULT 0,
    completed INTEGER NOT NULL DEFAULT 0,
    dead INTEGER NOT NULL DEFAULT 0,
    cancelled INTEGER NOT NULL DEFAULT 0,
    UNIQUE (queue, handler, priority)
) STRICT;

CREATE TABLE tasks (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    lane INTEGER NOT NULL,
    place TEXT NOT NULL CHECK (
        place = 'ready' OR place = 'running' OR place = 'completed' OR place = 'delayed' OR place = 'failed'
        OR place = 'solo' OR place = 'dead' OR place = 'cancelled'
    ), -- not IN (…), for which SQLite would fill a table anew in every statement that writes
    created_at INTEGER NOT NULL,
    eligible_at INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    expires_at INTEGER,
    timeout INTEGER NOT NULL,
    retries INTEGER NOT NULL,
    retries_left INTEGER NOT NULL CHECK (retries_left >= 0),
    keep_result INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    digest BLOB NOT NULL,
    tags TEXT NOT NULL,
    key TEXT,
    schedule TEXT,
    solo INTEGER NOT NULL DEFAULT 0,
    attempt INTEGER NOT NULL DEFAULT 0,
    crashes INTEGER NOT NULL DEFAULT 0,
    generation INTEGER NOT NULL DEFAULT 1,
    fence INTEGER NOT NULL DEFAULT 0,
    owner TEXT CHECK ((owner IS NOT NULL) = (place = 'running')),
    node TEXT,
    request INTEGER NOT NULL DEFAULT 0,
    op TEXT NOT NULL DEFAULT '',
    started_at INTEGER,
    finished_at INTEGER
        CHECK ((finished_at IS NOT NULL) = (place = 'completed' OR place = 'dead' OR place = 'cancelled')),
    progress TEXT,
    error_type TEXT,
    error_message TEXT,
    cause TEXT,
    history TEXT NOT NULL DEFAULT '[]',
    payload BLOB,
    result BLOB
) STRICT;

CREATE INDEX tasks_ready ON tasks (lane, eligible_at, id) WHERE place = 'ready';
CREATE INDEX tasks_solo ON tasks (lane, eligible_at, id) WHERE place = 'solo';
CREATE INDEX tasks_delayed ON tasks (due_at, id) WHERE place IN ('delayed', 'failed');
CREATE INDEX tasks_expiring ON tasks (expires_at, id)
    WHERE expires_at IS NOT NULL AND place IN ('ready', 'solo', 'delayed', 'failed');
CREATE INDEX tasks_running ON tasks (owner, started_at, id) WHERE place = 'running';
CREATE INDEX tasks_finished ON tasks (place, finished_at, id) WHERE finished_at IS NOT NULL;
CREATE INDEX tasks_dead ON tasks (lane, cause) WHERE place = 'dead';
CREATE INDEX tasks_listed ON tasks (lane, place, seq);
CREATE INDEX tasks_scheduled ON tasks (schedule, seq) WHERE schedule IS NOT NULL;
CREATE INDEX tasks_unfinished ON tasks (schedule) WHERE schedule IS NOT NULL AND finished_at IS NULL;

-- Bodies too large for a task's row, so that a change of its state does not write them again.
CREATE TABLE payloads (seq INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;
CREATE TABLE results (seq INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;

CREATE TABLE tags (tag TEXT NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (tag, seq)) STRICT, WITHOUT ROWID;

CREATE TRIGGER tasks_gone AFTER DELETE ON tasks BEGIN
    DELETE FROM payloads WHERE seq = old.seq;
    DELETE FROM results WHERE seq = old.seq;
    DELETE FROM tags WHERE seq = old.seq AND tag IN (SELECT value FROM json_each(old.tags));
END;

CREATE VIEW records AS
SELECT
    t.seq, t.lane, t.place, t.id, l.queue, l.handler, l.priority,
    coalesce(t.payload, (SELECT body FROM payloads WHERE seq = t.seq)) AS payload,
    t.checksum, t.digest, t.timeout, t.retries, t.keep_result, t.tags, t.key, t.schedule,
    t.created_at, t.eligible_at, t.due_at, t.expires_at, t.retries_left, t.solo, t.attempt, t.crashes, t.generation,
    t.fence, t.owner, t.node, t.request, t.op, t.started_at, t.finished_at, t.progress,
    coalesce(t.result, (SELECT body FROM results WHERE seq = t.seq)) AS result,
    t.error_type, t.error_message, t.cause, t.history
FROM tasks AS t JOIN lanes AS l ON l.id = t.lane;

CREATE TABLE keys (
    key TEXT PRIMARY KEY,
    digest BLOB NOT NULL,
    task TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX keys_at ON keys (at);

CREATE TABLE members (
    number INTEGER PRIMARY KEY,
    owner TEXT NOT NULL UNIQUE,
    node TEXT NOT NULL,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    workers INTEGER NOT NULL,
    queues TEXT NOT NULL,
    handlers TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    beat INTEGER NOT NULL DEFAULT 0,
    beat_at INTEGER NOT NULL,
    running INTEGER NOT NULL DEFAULT 0,
    request INTEGER NOT NULL DEFAULT 0,
    draining INTEGER NOT NULL DEFAULT 0,
    fenced INTEGER NOT NULL DEFAULT 0,
    gone_at INTEGER,
    ttl INTEGER -- of a lease; a node has none
) STRICT;
CREATE INDEX members_live ON members (node) WHERE gone_at IS NULL AND ttl IS NULL;
CREATE INDEX members_nodes ON members (number) WHERE ttl IS NULL;
CREATE INDEX members_leases ON members (owner) WHERE ttl IS NOT NULL AND (gone_at IS NULL OR fenced);
CREATE INDEX members_gone ON members (gone_at) WHERE gone_at IS NOT NULL;

CREATE TABLE orders (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    owner TEXT NOT NULL,
    kind TEXT NOT NULL,
    task TEXT NOT NULL,
    fence INTEGER NOT NULL
) STRICT;
CREATE INDEX orders_owner ON orders (owner);

CREATE TABLE term (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    owner TEXT,
    epoch INTEGER NOT NULL,
    beat INTEGER NOT NULL
) STRICT;
INSERT INTO term VALUES (1, NULL, 0, 0);

CREATE TABLE schedules (
    id TEXT PRIMARY KEY,
    spec BLOB NOT NULL,
    cursor INTEGER NOT NULL,
    paused INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    last_run_at INTEGER,
    skipped TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE revision (one INTEGER PRIMARY KEY CHECK (one = 1), number INTEGER NOT NULL) STRICT;
INSERT INTO revision VALUES (1, 0);
CREATE TABLE generations (schedule TEXT PRIMARY KEY, last INTEGER NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE tallies (
    detail INTEGER NOT NULL,
    minute INTEGER NOT NULL,
    name TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (detail, minute, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE notes (
    number INTEGER PRIMARY KEY, -- without gaps: only the oldest are ever deleted
    at INTEGER NOT NULL,
    token TEXT NOT NULL,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    count INTEGER NOT NULL
) STRICT;

CREATE TABLE paused (queue TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
