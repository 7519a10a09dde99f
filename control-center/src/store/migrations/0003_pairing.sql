-- Pairing in the field: what edges say of evaluators nobody has confirmed, and the passes of technicians.

ALTER TABLE positions ADD COLUMN unconfirmed INTEGER NOT NULL DEFAULT 0;

-- Site passes: who may pair in which hall until when. The pass itself is not kept.
CREATE TABLE site_passes (
    id         TEXT PRIMARY KEY,
    hall       TEXT    NOT NULL,
    technician TEXT    NOT NULL,
    issued_by  TEXT    NOT NULL,
    from_at    INTEGER NOT NULL,
    until_at   INTEGER NOT NULL,
    revoked_at INTEGER
);
CREATE INDEX site_passes_of_hall ON site_passes (hall, until_at);
