-- The journal of one node: what happened, in order, as it is stored and forwarded for ever.
-- Written by one connection on one thread; WAL with synchronous=FULL, so that what was confirmed survives a power cut
-- (docs/design/journal-and-intake.md).

-- Facts about this database itself: `epoch`, the incarnation that `events.seq` is counted in.
CREATE TABLE IF NOT EXISTS meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

-- The events. A row is never changed; it is deleted only when the centre has had it for seven days.
CREATE TABLE IF NOT EXISTS events (
    n       INTEGER PRIMARY KEY,   -- order of writing, over all epochs
    epoch   INTEGER NOT NULL,      -- larger after each new, restored or rolled-back database
    seq     INTEGER NOT NULL,      -- +1 within the epoch, from 1, no gap
    at      INTEGER NOT NULL,      -- when it happened, UTC milliseconds (also within `bytes`)
    written INTEGER NOT NULL,      -- when it was written, UTC milliseconds
    session INTEGER NOT NULL,      -- 1: part of the state of queue and windows, read again at a start
    bytes   BLOB    NOT NULL,      -- the exact bytes, one line of JSON
    digest  BLOB    NOT NULL,      -- SHA-256 of `bytes`; the next event carries it as `prev`
    UNIQUE (epoch, seq)
);
CREATE INDEX IF NOT EXISTS events_of_the_session ON events (at) WHERE session = 1;

-- How far the centre has committed each epoch, as it last said.
CREATE TABLE IF NOT EXISTS marks (
    epoch INTEGER PRIMARY KEY,
    seq   INTEGER NOT NULL
);

-- Punches on record, so that the live event and the terminal's log make one: the terminal's own second is the key.
CREATE TABLE IF NOT EXISTS punches (
    position   TEXT    NOT NULL,
    employee   TEXT    NOT NULL,
    punched_at INTEGER NOT NULL,   -- UTC milliseconds
    PRIMARY KEY (position, employee, punched_at)
) WITHOUT ROWID;

-- What a device said last, written with the events it led to: a program that ends between that and the device's answer
-- knows the repetition when it starts again. `mono_us` tells one saying from the next.
CREATE TABLE IF NOT EXISTS said (
    position TEXT    PRIMARY KEY,
    raw      BLOB    NOT NULL,
    at       INTEGER NOT NULL,     -- UTC milliseconds
    mono_us  INTEGER NOT NULL,
    answered INTEGER NOT NULL      -- 1: the device has its answer
) WITHOUT ROWID;

-- Commands already acted on, so that one delivered twice is done once.
CREATE TABLE IF NOT EXISTS commands (
    id   TEXT    PRIMARY KEY,
    seen INTEGER NOT NULL          -- UTC milliseconds
) WITHOUT ROWID;

-- Files of past readings already taken, by the SHA-256 of their content.
CREATE TABLE IF NOT EXISTS imports (
    digest TEXT    PRIMARY KEY,
    taken  INTEGER NOT NULL        -- UTC milliseconds
) WITHOUT ROWID;
