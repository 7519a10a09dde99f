-- Events that came before their turn. An event takes effect, and enters `events`, only when its journal has been
-- committed without a gap up to it: so the record is the same however batches were cut, doubled or reordered.
CREATE TABLE waiting_events (
    node        TEXT NOT NULL,
    epoch       INTEGER NOT NULL,
    seq         INTEGER NOT NULL,
    prev        BLOB,                  -- NULL where the event cannot be read that far
    hash        BLOB NOT NULL,
    bytes       BLOB NOT NULL,
    why         TEXT,                  -- why it is a poison event; NULL for a good one
    received_at INTEGER NOT NULL,
    PRIMARY KEY (node, epoch, seq)
);

-- Cases that a second epoch of a node opened again: that epoch's events of the case are kept and change nothing.
CREATE TABLE cases_reopened (
    case_id TEXT NOT NULL,
    node    TEXT NOT NULL,
    epoch   INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    PRIMARY KEY (case_id, node, epoch)
);

CREATE INDEX dead_events_by_place ON dead_events (node, epoch, seq);
