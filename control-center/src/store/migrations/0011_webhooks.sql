-- Where events are sent on to. The record itself is the queue: a webhook is a cursor into `events`, so what waits for it
-- needs no second copy and outlives every restart. Its secret is made from a key in the data folder and not kept here.
CREATE TABLE webhooks (
    id            TEXT PRIMARY KEY,
    name          TEXT NOT NULL,
    url           TEXT NOT NULL,
    kinds         TEXT NOT NULL,       -- JSON: kinds, or their beginnings that end with a dot
    scope         TEXT NOT NULL,       -- the area or hall whose events are sent
    ca_pem        TEXT,                -- who the receiver's certificate must come from
    enabled       INTEGER NOT NULL,
    turn          INTEGER NOT NULL,    -- how often its secret was made anew
    after_n       INTEGER NOT NULL,    -- the last event it has received, or that is not for it
    created_by    TEXT NOT NULL,
    created_at    INTEGER NOT NULL,
    delivered     INTEGER NOT NULL,    -- events
    failures      INTEGER NOT NULL,    -- in a row
    failing_since INTEGER,
    next_at       INTEGER NOT NULL,    -- not before this
    last_ok_at    INTEGER,
    last_error    TEXT
);
