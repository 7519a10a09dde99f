-- Which authority signed a certificate (the pin of its key; none: before this was written down), and when a node last came
-- with it, so that an authority is not retired while machines still need it.
ALTER TABLE certificates ADD COLUMN authority TEXT;
ALTER TABLE certificates ADD COLUMN used_at INTEGER;

-- Roles whose people must have a second factor before they may do anything but set it up.
CREATE TABLE second_factor_roles (
    role   TEXT PRIMARY KEY,
    since  INTEGER NOT NULL,
    set_by TEXT NOT NULL
);

-- For how many days a hall is ordered to keep its footage; none: as its own file says.
CREATE TABLE recording_rules (
    hall    TEXT PRIMARY KEY,
    days    INTEGER,
    set_by  TEXT NOT NULL,
    set_at  INTEGER NOT NULL,
    command TEXT NOT NULL
);
