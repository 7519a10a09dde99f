-- The recording index: what the segments say, so that a minute of a month is found without opening a file. Everything but
-- `holds` can be made again from the segments; holds are kept beside it in holds.json as well.
-- One connection writes, on the recorder's thread; WAL with synchronous=FULL.

-- One row for each file. Written before the file is made and after it is gone, so that no file is ever unknown.
CREATE TABLE IF NOT EXISTS segments (
    id       INTEGER PRIMARY KEY,
    camera   TEXT    NOT NULL,
    run      INTEGER NOT NULL,      -- the camera's run: a stretch without a break
    part     INTEGER NOT NULL,      -- the segment's number in the run, from 1
    file     TEXT    NOT NULL UNIQUE, -- below the folder of recordings
    state    INTEGER NOT NULL,      -- 0 being written, 1 sealed, 2 being deleted
    start_us INTEGER NOT NULL,      -- first picture, UTC microseconds
    end_us   INTEGER NOT NULL,      -- end of the last picture
    mono_us  INTEGER NOT NULL,      -- first picture, on the monotonic clock of `boot`
    boot     TEXT    NOT NULL,
    quality  TEXT    NOT NULL,      -- how far the times can be trusted
    codec    TEXT    NOT NULL,      -- RFC 6381
    width    INTEGER NOT NULL,
    height   INTEGER NOT NULL,
    head_len INTEGER NOT NULL,      -- bytes before the first fragment
    bytes    INTEGER NOT NULL,
    frames   INTEGER NOT NULL,
    digest   BLOB    NOT NULL,      -- covers every byte (docs/design/recorder.md)
    fragments BLOB   NOT NULL,      -- where each is and when: segment/table.rs
    told     INTEGER NOT NULL DEFAULT 0, -- 1: recording.sealed is in the journal
    UNIQUE (camera, run, part)
);
CREATE INDEX IF NOT EXISTS segments_by_time ON segments (camera, start_us);
CREATE INDEX IF NOT EXISTS segments_by_age ON segments (start_us) WHERE state = 1;
CREATE INDEX IF NOT EXISTS segments_not_told ON segments (id) WHERE told = 0 AND state = 1;
CREATE INDEX IF NOT EXISTS segments_not_sealed ON segments (id) WHERE state <> 1;

-- When nothing was recorded, and why. `to_us` is null while that goes on.
CREATE TABLE IF NOT EXISTS gaps (
    camera  TEXT    NOT NULL,
    from_us INTEGER NOT NULL,
    to_us   INTEGER,
    why     TEXT    NOT NULL,
    told    INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (camera, from_us)
) WITHOUT ROWID;

-- What must not be deleted, whoever wants to.
CREATE TABLE IF NOT EXISTS holds (
    id       TEXT    PRIMARY KEY,
    kind     TEXT    NOT NULL,      -- person, case, rating, alarm
    reason   TEXT    NOT NULL,
    placed_by TEXT,                 -- who; null: the agent by itself
    case_id  TEXT,
    placed   INTEGER NOT NULL,      -- UTC microseconds
    until    INTEGER,               -- null: until it is released
    released INTEGER                -- null: it stands
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS held (
    hold    TEXT    NOT NULL REFERENCES holds (id),
    camera  TEXT    NOT NULL,
    from_us INTEGER NOT NULL,
    to_us   INTEGER NOT NULL,
    PRIMARY KEY (camera, from_us, to_us, hold)
) WITHOUT ROWID;
