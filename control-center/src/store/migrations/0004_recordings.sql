-- Recordings: what the halls have said of their footage, so that it can be listed and proven while a hall is offline.
-- The footage itself stays in the hall.

-- One row for each sealed segment, from `recording.sealed`. `sha256` covers every byte of the segment
-- (docs/design/recorder.md) and came while the recording went on; the first that came for a segment stands, and a later
-- one that says otherwise is in `events` only. (node, epoch, seq) is the event in `events` that brought it, whose
-- `received_at` says when. Segments of a time: camera = $1 AND from_at < $to AND to_at > $from (and, for the index,
-- from_at > $from less the longest segment, an hour).
CREATE TABLE recording_segments (
    camera  TEXT    NOT NULL,
    from_at INTEGER NOT NULL,          -- first picture, UTC milliseconds
    segment TEXT    NOT NULL,          -- below the hall's folder of recordings: <camera>/<yyyymmdd>/<hhmmss.mmm>Z-<run>-<part>.mp4
    to_at   INTEGER NOT NULL,          -- end of the last picture
    hall    TEXT    NOT NULL,
    sha256  BLOB    NOT NULL,          -- 32 bytes
    node    TEXT    NOT NULL,
    epoch   INTEGER NOT NULL,
    seq     INTEGER NOT NULL,
    PRIMARY KEY (camera, from_at, segment)
);

-- When nothing was recorded and why, from `recording.gap`. One that ends where it begins went on when it was told.
CREATE TABLE recording_gaps (
    camera  TEXT    NOT NULL,
    from_at INTEGER NOT NULL,
    to_at   INTEGER NOT NULL,
    hall    TEXT    NOT NULL,
    why     TEXT    NOT NULL,          -- a code, and after a colon more
    told_at INTEGER NOT NULL,
    PRIMARY KEY (camera, from_at)
);

-- Holds that people placed through this centre. What stands is in the hall; here is who asked for it, and what came of it.
CREATE TABLE recording_holds (
    id              TEXT    PRIMARY KEY,
    hall            TEXT    NOT NULL,
    kind            TEXT    NOT NULL,  -- person, case, rating, alarm
    reason          TEXT    NOT NULL,
    case_id         TEXT,
    cameras         TEXT    NOT NULL,  -- JSON: their ids
    from_at         INTEGER NOT NULL,
    to_at           INTEGER NOT NULL,
    until_at        INTEGER,           -- NULL: until it is released
    placed_by       TEXT    NOT NULL,  -- empty: the hall by itself
    placed_at       INTEGER NOT NULL,
    command         TEXT    NOT NULL,  -- in `commands`: places it
    state           TEXT    NOT NULL,  -- asked, held, refused, releasing, released
    why             TEXT,              -- what the hall said last
    released_by     TEXT,
    released_at     INTEGER,
    release_command TEXT
);
CREATE INDEX recording_holds_of_hall ON recording_holds (hall, placed_at);
CREATE INDEX recording_holds_of_command ON recording_holds (command);
CREATE INDEX recording_holds_of_release ON recording_holds (release_command) WHERE release_command IS NOT NULL;

-- What went wrong at a place, found by its time for the timeline of a case.
CREATE INDEX events_of_trouble ON events (hall, at) WHERE kind IN (
    'camera.up', 'camera.down', 'picture.fault', 'seat.changed', 'recording.gap', 'device.silent', 'device.degraded',
    'device.down', 'device.up', 'rating.unsolicited', 'node.started', 'node.clock_stepped', 'node.disk_low');
