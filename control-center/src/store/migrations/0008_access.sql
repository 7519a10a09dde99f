-- People's second factor, where sessions are used from, and checkpoints of the audit log.

ALTER TABLE users ADD COLUMN totp BLOB;                    -- the shared secret, sealed; NULL: no second factor
ALTER TABLE users ADD COLUMN totp_since INTEGER;           -- since when it is asked for; NULL: not confirmed yet
ALTER TABLE users ADD COLUMN totp_step INTEGER NOT NULL DEFAULT 0; -- the newest time step a code was taken of
ALTER TABLE users ADD COLUMN signed_in_at INTEGER;

ALTER TABLE sessions ADD COLUMN agent TEXT NOT NULL DEFAULT ''; -- what the browser calls itself

-- The hash of a row of the audit log, signed by the centre's audit key: who rewrites the chain needs that key too.
CREATE TABLE audit_checkpoints (
    n         INTEGER PRIMARY KEY,     -- the row
    at        INTEGER NOT NULL,
    hash      BLOB NOT NULL,
    key       BLOB NOT NULL,           -- the public key, Ed25519
    signature BLOB NOT NULL
);
CREATE INDEX audit_by_time ON audit (at);
CREATE INDEX audit_by_who ON audit (who, n);
CREATE INDEX audit_by_action ON audit (action, n);
CREATE INDEX audit_by_object ON audit (object, n);
