-- What the centre itself keeps of the halls' footage, for when a hall is offline: stills of the key moments of cases, and clips of
-- cases that somebody had sent up. The files lie below `footage` in the data folder; a row outlives its file by 90 days and
-- says why it is gone.

-- A still of a moment of a case, from the footage of the window's first camera. (node, epoch, seq) is the event it shows.
CREATE TABLE kept_stills (
    id         TEXT    PRIMARY KEY,        -- digest of the event's place and the camera
    case_id    TEXT    NOT NULL,
    hall       TEXT    NOT NULL,
    camera     TEXT    NOT NULL,
    node       TEXT    NOT NULL,
    epoch      INTEGER NOT NULL,
    seq        INTEGER NOT NULL,
    shows      TEXT    NOT NULL,           -- the event's kind
    at         INTEGER NOT NULL,           -- when that was
    state      TEXT    NOT NULL,           -- wanted, kept, missing, dropped
    why        TEXT,                       -- why it is missing or dropped, or has not come yet
    tries      INTEGER NOT NULL,
    next_at    INTEGER NOT NULL,           -- when the hall is asked next
    taken_us   INTEGER,                    -- when the picture was, UTC microseconds
    bytes      INTEGER,
    sha256     BLOB,
    changed_at INTEGER NOT NULL
);
CREATE INDEX kept_stills_of_case ON kept_stills (case_id, at);
CREATE INDEX kept_stills_wanted ON kept_stills (next_at) WHERE state = 'wanted';
CREATE INDEX kept_stills_by_age ON kept_stills (at, bytes) WHERE state = 'kept';
CREATE INDEX kept_stills_gone ON kept_stills (changed_at) WHERE state IN ('missing', 'dropped');

-- A clip of a case, one for each of its cameras; kept again, the newer takes its place. What there is stands from `plan` to
-- `kept_at`, all NULL where there is nothing; `state` is what came of the last wish.
CREATE TABLE kept_clips (
    id         TEXT    PRIMARY KEY,        -- digest of case and camera
    case_id    TEXT    NOT NULL,
    hall       TEXT    NOT NULL,
    camera     TEXT    NOT NULL,
    state      TEXT    NOT NULL,           -- asked, kept, failed, dropped
    why        TEXT,
    asked_by   TEXT    NOT NULL,
    asked_at   INTEGER NOT NULL,
    plan       TEXT,                       -- JSON: what the hall said of it
    bytes      INTEGER,
    sha256     BLOB,
    kept_at    INTEGER,
    changed_at INTEGER NOT NULL
);
CREATE INDEX kept_clips_of_case ON kept_clips (case_id);
CREATE INDEX kept_clips_by_age ON kept_clips (kept_at, bytes) WHERE plan IS NOT NULL;

-- Up to which event of a kind moments have been looked for.
CREATE TABLE kept_progress (
    kind TEXT    PRIMARY KEY,
    n    INTEGER NOT NULL
);
