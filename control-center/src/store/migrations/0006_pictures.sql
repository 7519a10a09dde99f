-- What the edges find in cameras' pictures: seats, and faults that stand or were the last of their kind.

CREATE TABLE seats (
    camera TEXT PRIMARY KEY,
    hall   TEXT    NOT NULL,
    node   TEXT    NOT NULL,
    win    TEXT,
    seat   TEXT    NOT NULL,           -- occupied, empty, unknown
    why    TEXT,                       -- of unknown
    still  TEXT,                       -- its name at the edge
    since  INTEGER NOT NULL
);
CREATE INDEX seats_of_window ON seats (win);

CREATE TABLE picture_faults (
    camera TEXT    NOT NULL,
    fault  TEXT    NOT NULL,           -- black, frozen, blocked, out_of_focus, moved
    hall   TEXT    NOT NULL,
    node   TEXT    NOT NULL,
    win    TEXT,
    ended  INTEGER NOT NULL,
    since  INTEGER NOT NULL,           -- when pictures began to show it, or its end, so
    still  TEXT,
    at     INTEGER NOT NULL,           -- of the newest event
    PRIMARY KEY (camera, fault)
);
CREATE INDEX picture_faults_of_window ON picture_faults (win, ended);
