-- Shifts, rosters, requests and calendars of attendance; how far each terminal has been read, and how far its clock was off.
-- Dates are text, YYYY-MM-DD, local to the halls.

-- The home department a clerk comes from (进驻单位), and the window they usually stand at.
ALTER TABLE staff ADD COLUMN unit TEXT;
ALTER TABLE staff ADD COLUMN win TEXT;

-- The hall's time at which a live event brought the punch; `punched_at` stays what the terminal stamped.
ALTER TABLE punches ADD COLUMN heard_at INTEGER;
CREATE INDEX punches_of_employee ON punches (hall, employee, punched_at);

-- Up to when everything a terminal held is on record.
CREATE TABLE punch_logs (
    terminal TEXT PRIMARY KEY,
    hall     TEXT NOT NULL,
    through  INTEGER NOT NULL
);

-- From when until when a terminal's clock was measured to be `seconds` ahead of its hall's.
CREATE TABLE terminal_clocks (
    terminal TEXT NOT NULL,
    from_at  INTEGER NOT NULL,
    until_at INTEGER NOT NULL,
    seconds  INTEGER NOT NULL,
    PRIMARY KEY (terminal, from_at)
);

-- Who was signed in at a window's keypad.
CREATE TABLE sign_ins (
    win      TEXT NOT NULL,
    at       INTEGER NOT NULL,
    hall     TEXT NOT NULL,
    employee TEXT NOT NULL,
    until    INTEGER,
    PRIMARY KEY (win, at)
);
CREATE INDEX sign_ins_of_employee ON sign_ins (hall, employee, at);
CREATE INDEX sign_ins_open ON sign_ins (hall, at) WHERE until IS NULL;

-- Shifts for the halls of an area, or of one hall. Every version that was saved stays.
CREATE TABLE shifts (
    id         TEXT PRIMARY KEY,
    scope      TEXT NOT NULL,
    version    INTEGER NOT NULL,
    body       TEXT NOT NULL,
    changed_by TEXT NOT NULL,
    changed_at INTEGER NOT NULL,
    removed    INTEGER NOT NULL        -- kept for the days it was asked of
);
CREATE TABLE shift_versions (
    id         TEXT NOT NULL,
    version    INTEGER NOT NULL,
    body       TEXT NOT NULL,
    changed_by TEXT NOT NULL,
    changed_at INTEGER NOT NULL,
    PRIMARY KEY (id, version)
);

-- What somebody's days are from a date on; employee '' is everybody of the hall who has no word of their own.
CREATE TABLE rosters (
    hall       TEXT NOT NULL,
    employee   TEXT NOT NULL,
    from_date  TEXT NOT NULL,
    pattern    TEXT NOT NULL,
    changed_by TEXT NOT NULL,
    changed_at INTEGER NOT NULL,
    PRIMARY KEY (hall, employee, from_date)
);
CREATE TABLE roster_days (
    hall       TEXT NOT NULL,
    employee   TEXT NOT NULL,
    date       TEXT NOT NULL,
    shift      TEXT,                   -- NULL: rest
    win        TEXT,
    changed_by TEXT NOT NULL,
    changed_at INTEGER NOT NULL,
    PRIMARY KEY (hall, employee, date)
);

-- Asked by one person, decided by another, never changed afterwards.
CREATE TABLE attendance_requests (
    id         TEXT PRIMARY KEY,
    hall       TEXT NOT NULL,
    employee   TEXT NOT NULL,
    wanted     TEXT NOT NULL,
    from_date  TEXT NOT NULL,
    to_date    TEXT NOT NULL,
    reason     TEXT NOT NULL,
    asked_by   TEXT NOT NULL,
    asked_at   INTEGER NOT NULL,
    state      TEXT NOT NULL,          -- asked approved refused withdrawn
    decided_by TEXT,
    decided_at INTEGER,
    note       TEXT
);
CREATE INDEX attendance_requests_of_hall ON attendance_requests (hall, to_date);
CREATE INDEX attendance_requests_by_time ON attendance_requests (asked_at, id);
CREATE INDEX attendance_requests_open ON attendance_requests (hall, asked_at) WHERE state = 'asked';

-- Calendars that were imported, signed by a key that is trusted here; those of the program itself are not in here.
CREATE TABLE calendars (
    layer       TEXT NOT NULL,         -- CN, or an area
    year        INTEGER NOT NULL,
    body        TEXT NOT NULL,
    key         TEXT NOT NULL,
    imported_by TEXT NOT NULL,
    imported_at INTEGER NOT NULL,
    PRIMARY KEY (layer, year)
);
CREATE TABLE calendar_keys (
    fingerprint TEXT PRIMARY KEY,      -- SHA-256 of the public key, or the key itself, as it was given
    note        TEXT NOT NULL,
    added_by    TEXT NOT NULL,
    added_at    INTEGER NOT NULL
);
