-- The positions of a hall and everything that was done to them, in a file of their own beside the journal.
-- Times are UTC milliseconds.

-- Logical places; a place outlives the hardware bound to it.
CREATE TABLE positions (
    id      TEXT PRIMARY KEY,
    win     TEXT,                 -- the window it stands at
    role    TEXT    NOT NULL,     -- keypad, evaluator, display, …: the word at the end of the id
    owner   TEXT    NOT NULL,     -- config: as the TOML file has it; paired: as people made it
    made_at INTEGER NOT NULL
) WITHOUT ROWID;

-- Which hardware stood there from when until when. A row is closed, never changed otherwise and never deleted.
CREATE TABLE bindings (
    n          INTEGER PRIMARY KEY,
    position   TEXT    NOT NULL REFERENCES positions (id),
    identity   TEXT    NOT NULL,  -- what tells this hardware from another
    serial     TEXT,              -- its serial number, where it has one
    connection TEXT    NOT NULL,  -- JSON
    from_at    INTEGER NOT NULL,
    to_at      INTEGER,
    why        TEXT    NOT NULL,  -- config, paired, replaced, moved, cloned, import, undo
    by         TEXT    NOT NULL,
    visit      TEXT
);
CREATE UNIQUE INDEX one_device_at_a_place ON bindings (position) WHERE to_at IS NULL;
CREATE INDEX bindings_of_a_position ON bindings (position, n);

-- What an evaluator's keys mean; the newest row of a binding counts.
CREATE TABLE grade_maps (
    n            INTEGER PRIMARY KEY,
    binding      INTEGER NOT NULL REFERENCES bindings (n),
    map          TEXT    NOT NULL, -- JSON, hexadecimal byte to grade
    confirmed_by TEXT,
    at           INTEGER NOT NULL
);
CREATE INDEX maps_of_a_binding ON grade_maps (binding, n);

-- Visits of technicians; the state of one is the fold of its steps.
CREATE TABLE visits (
    id        TEXT PRIMARY KEY,
    opened_at INTEGER NOT NULL,
    open      INTEGER NOT NULL    -- 1 for the one that is not closed
) WITHOUT ROWID;
CREATE UNIQUE INDEX one_visit_at_a_time ON visits (open) WHERE open = 1;

-- Every step ever taken, in order; each carries the SHA-256 of the exact bytes of the one before.
CREATE TABLE steps (
    n      INTEGER PRIMARY KEY,
    visit  TEXT NOT NULL,
    bytes  BLOB NOT NULL,
    digest BLOB NOT NULL
);
CREATE INDEX steps_of_a_visit ON steps (visit, n);

-- Photographs of the acceptance, written anew without anything but the picture.
CREATE TABLE photos (
    visit  TEXT    NOT NULL,
    id     TEXT    NOT NULL,
    width  INTEGER NOT NULL,
    height INTEGER NOT NULL,
    jpeg   BLOB    NOT NULL,
    PRIMARY KEY (visit, id)
) WITHOUT ROWID;

-- What can be taken back: which binding stood at each place before and after (null: none).
CREATE TABLE undos (
    id        TEXT PRIMARY KEY,
    at        INTEGER NOT NULL,
    visit     TEXT    NOT NULL,
    what      TEXT    NOT NULL,
    by        TEXT    NOT NULL,
    places    TEXT    NOT NULL,   -- JSON: [[position, before, after], …]
    undone_at INTEGER
) WITHOUT ROWID;

-- Site passes that the centre has taken back, until they would have ended anyway.
CREATE TABLE revoked_passes (
    id    TEXT PRIMARY KEY,
    until INTEGER NOT NULL
) WITHOUT ROWID;
