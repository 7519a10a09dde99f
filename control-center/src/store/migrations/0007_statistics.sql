-- The sums under all figures of the service (control-center/src/statistics). Days are local and written 20261122,
-- quarters count from 00:00 (0 to 95). Columns w0 to w22 count waits by class; everything else is named in load.rs.

-- By which zone a hall's days begin; its roll-ups follow a change when they are rebuilt.
ALTER TABLE halls ADD COLUMN time_zone TEXT NOT NULL DEFAULT 'Asia/Shanghai';
CREATE TABLE load_zones (
    hall TEXT PRIMARY KEY,
    zone TEXT NOT NULL
);

-- The steps of a case, from which its sums are worked out again when one comes late.
CREATE TABLE visits (
    case_id TEXT PRIMARY KEY,          -- begins with the hall
    steps   TEXT NOT NULL              -- JSON
) WITHOUT ROWID;

-- The steps of a window's day: opened, paused, resumed, closed.
CREATE TABLE window_hours (
    win   TEXT NOT NULL,
    day   INTEGER NOT NULL,
    hall  TEXT NOT NULL,
    steps TEXT NOT NULL,               -- JSON
    PRIMARY KEY (win, day)
) WITHOUT ROWID;
CREATE INDEX window_hours_of_hall ON window_hours (hall, day);

-- By quarter of an hour, business and window.
CREATE TABLE load_quarters (
    hall TEXT NOT NULL,
    day INTEGER NOT NULL,
    quarter INTEGER NOT NULL,
    business TEXT NOT NULL,
    win TEXT NOT NULL,
    arrivals INTEGER NOT NULL, calls INTEGER NOT NULL, recalls INTEGER NOT NULL, transfers INTEGER NOT NULL,
    holds INTEGER NOT NULL, served INTEGER NOT NULL, no_shows INTEGER NOT NULL, skipped INTEGER NOT NULL,
    unserved INTEGER NOT NULL, waits INTEGER NOT NULL, wait_ms INTEGER NOT NULL, reaches INTEGER NOT NULL,
    reach_ms INTEGER NOT NULL, services INTEGER NOT NULL, service_ms INTEGER NOT NULL,
    service_sq_s INTEGER NOT NULL, grade_1 INTEGER NOT NULL, grade_2 INTEGER NOT NULL,
    grade_3 INTEGER NOT NULL, grade_4 INTEGER NOT NULL, grade_5 INTEGER NOT NULL, defaults INTEGER NOT NULL,
    bad_cases INTEGER NOT NULL, unsolicited INTEGER NOT NULL, open_ms INTEGER NOT NULL,
    paused_ms INTEGER NOT NULL, busy_ms INTEGER NOT NULL, w0 INTEGER NOT NULL, w1 INTEGER NOT NULL,
    w2 INTEGER NOT NULL, w3 INTEGER NOT NULL, w4 INTEGER NOT NULL, w5 INTEGER NOT NULL, w6 INTEGER NOT NULL,
    w7 INTEGER NOT NULL, w8 INTEGER NOT NULL, w9 INTEGER NOT NULL, w10 INTEGER NOT NULL, w11 INTEGER NOT NULL,
    w12 INTEGER NOT NULL, w13 INTEGER NOT NULL, w14 INTEGER NOT NULL, w15 INTEGER NOT NULL,
    w16 INTEGER NOT NULL, w17 INTEGER NOT NULL, w18 INTEGER NOT NULL, w19 INTEGER NOT NULL,
    w20 INTEGER NOT NULL, w21 INTEGER NOT NULL, w22 INTEGER NOT NULL,
    PRIMARY KEY (hall, day, quarter, business, win)
) WITHOUT ROWID;

-- The same by day.
CREATE TABLE load_days (
    hall TEXT NOT NULL,
    day INTEGER NOT NULL,
    business TEXT NOT NULL,
    win TEXT NOT NULL,
    arrivals INTEGER NOT NULL, calls INTEGER NOT NULL, recalls INTEGER NOT NULL, transfers INTEGER NOT NULL,
    holds INTEGER NOT NULL, served INTEGER NOT NULL, no_shows INTEGER NOT NULL, skipped INTEGER NOT NULL,
    unserved INTEGER NOT NULL, waits INTEGER NOT NULL, wait_ms INTEGER NOT NULL, reaches INTEGER NOT NULL,
    reach_ms INTEGER NOT NULL, services INTEGER NOT NULL, service_ms INTEGER NOT NULL,
    service_sq_s INTEGER NOT NULL, grade_1 INTEGER NOT NULL, grade_2 INTEGER NOT NULL,
    grade_3 INTEGER NOT NULL, grade_4 INTEGER NOT NULL, grade_5 INTEGER NOT NULL, defaults INTEGER NOT NULL,
    bad_cases INTEGER NOT NULL, unsolicited INTEGER NOT NULL, open_ms INTEGER NOT NULL,
    paused_ms INTEGER NOT NULL, busy_ms INTEGER NOT NULL, w0 INTEGER NOT NULL, w1 INTEGER NOT NULL,
    w2 INTEGER NOT NULL, w3 INTEGER NOT NULL, w4 INTEGER NOT NULL, w5 INTEGER NOT NULL, w6 INTEGER NOT NULL,
    w7 INTEGER NOT NULL, w8 INTEGER NOT NULL, w9 INTEGER NOT NULL, w10 INTEGER NOT NULL, w11 INTEGER NOT NULL,
    w12 INTEGER NOT NULL, w13 INTEGER NOT NULL, w14 INTEGER NOT NULL, w15 INTEGER NOT NULL,
    w16 INTEGER NOT NULL, w17 INTEGER NOT NULL, w18 INTEGER NOT NULL, w19 INTEGER NOT NULL,
    w20 INTEGER NOT NULL, w21 INTEGER NOT NULL, w22 INTEGER NOT NULL,
    PRIMARY KEY (hall, day, business, win)
) WITHOUT ROWID;

-- The same by day and hall alone, for areas and years.
CREATE TABLE load_halls (
    hall TEXT NOT NULL,
    day INTEGER NOT NULL,
    arrivals INTEGER NOT NULL, calls INTEGER NOT NULL, recalls INTEGER NOT NULL, transfers INTEGER NOT NULL,
    holds INTEGER NOT NULL, served INTEGER NOT NULL, no_shows INTEGER NOT NULL, skipped INTEGER NOT NULL,
    unserved INTEGER NOT NULL, waits INTEGER NOT NULL, wait_ms INTEGER NOT NULL, reaches INTEGER NOT NULL,
    reach_ms INTEGER NOT NULL, services INTEGER NOT NULL, service_ms INTEGER NOT NULL,
    service_sq_s INTEGER NOT NULL, grade_1 INTEGER NOT NULL, grade_2 INTEGER NOT NULL,
    grade_3 INTEGER NOT NULL, grade_4 INTEGER NOT NULL, grade_5 INTEGER NOT NULL, defaults INTEGER NOT NULL,
    bad_cases INTEGER NOT NULL, unsolicited INTEGER NOT NULL, open_ms INTEGER NOT NULL,
    paused_ms INTEGER NOT NULL, busy_ms INTEGER NOT NULL, w0 INTEGER NOT NULL, w1 INTEGER NOT NULL,
    w2 INTEGER NOT NULL, w3 INTEGER NOT NULL, w4 INTEGER NOT NULL, w5 INTEGER NOT NULL, w6 INTEGER NOT NULL,
    w7 INTEGER NOT NULL, w8 INTEGER NOT NULL, w9 INTEGER NOT NULL, w10 INTEGER NOT NULL, w11 INTEGER NOT NULL,
    w12 INTEGER NOT NULL, w13 INTEGER NOT NULL, w14 INTEGER NOT NULL, w15 INTEGER NOT NULL,
    w16 INTEGER NOT NULL, w17 INTEGER NOT NULL, w18 INTEGER NOT NULL, w19 INTEGER NOT NULL,
    w20 INTEGER NOT NULL, w21 INTEGER NOT NULL, w22 INTEGER NOT NULL,
    PRIMARY KEY (hall, day)
) WITHOUT ROWID;
CREATE INDEX load_halls_by_day ON load_halls (day);

-- The thresholds of a hall's queue, where somebody has set them.
CREATE TABLE queue_thresholds (
    hall   TEXT PRIMARY KEY,
    body   TEXT NOT NULL,              -- JSON
    set_by TEXT NOT NULL,
    set_at INTEGER NOT NULL
);

-- How far the forecasts of a day were from what came.
CREATE TABLE forecast_scores (
    hall     TEXT NOT NULL,
    day      INTEGER NOT NULL,
    tickets  INTEGER NOT NULL,
    error_ms INTEGER NOT NULL,         -- sum of |P50 − wait|
    held     INTEGER NOT NULL,         -- waits not longer than their P90
    PRIMARY KEY (hall, day)
);
