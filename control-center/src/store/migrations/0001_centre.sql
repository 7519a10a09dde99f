-- The centre's database. Times are UTC milliseconds, booleans 0 and 1, JSON is text. Identifiers are the contracts'
-- own (450103, 450103-01, 450103-01-W07); `path` is the materialised way from the root, /450000/450100/450103/, by
-- which rights are one prefix comparison.

-- The tree the centre owns -------------------------------------------------------------------------------------

-- An area of any level; its id is the GB/T 2260 code.
CREATE TABLE areas (
    id     TEXT PRIMARY KEY,
    parent TEXT REFERENCES areas (id),
    name   TEXT NOT NULL,
    level  TEXT NOT NULL,              -- region, city or county; free for other trees
    path   TEXT NOT NULL UNIQUE
);

CREATE TABLE halls (
    id     TEXT PRIMARY KEY,
    area   TEXT NOT NULL REFERENCES areas (id),
    name   TEXT NOT NULL,
    path   TEXT NOT NULL UNIQUE        -- the area's path and the hall's id
);

CREATE TABLE windows (
    id     TEXT PRIMARY KEY,
    hall   TEXT NOT NULL REFERENCES halls (id),
    number INTEGER NOT NULL,
    name   TEXT NOT NULL,
    UNIQUE (hall, number)
);

-- What is handled in a hall, by the name the ticket machine gives it.
CREATE TABLE businesses (
    hall   TEXT NOT NULL REFERENCES halls (id),
    name   TEXT NOT NULL,
    PRIMARY KEY (hall, name)
);

-- Which businesses a window takes; a window with none takes every ticket of its hall.
CREATE TABLE window_businesses (
    win      TEXT NOT NULL REFERENCES windows (id),
    business TEXT NOT NULL,
    PRIMARY KEY (win, business)
);

-- Clerks, by the number they type at a keypad and have at the attendance terminal.
CREATE TABLE staff (
    hall   TEXT NOT NULL REFERENCES halls (id),
    number TEXT NOT NULL,
    name   TEXT NOT NULL,
    PRIMARY KEY (hall, number)
);

-- People who sign in -------------------------------------------------------------------------------------------

CREATE TABLE users (
    name          TEXT PRIMARY KEY,
    password_hash TEXT NOT NULL,       -- argon2id, PHC form
    must_change   INTEGER NOT NULL,    -- nothing but a new password is allowed until it is 0
    disabled      INTEGER NOT NULL,
    created_at    INTEGER NOT NULL
);

-- A role within a scope; a person may hold several.
CREATE TABLE grants (
    user_name TEXT NOT NULL REFERENCES users (name) ON DELETE CASCADE,
    role      TEXT NOT NULL,           -- administrator supervisor hall_manager hr technician
    scope     TEXT NOT NULL,           -- an area's or a hall's id
    PRIMARY KEY (user_name, role, scope)
);

-- Only the SHA-256 of a session's token is kept: a stolen database signs nobody in.
CREATE TABLE sessions (
    token_hash BLOB PRIMARY KEY,
    user_name  TEXT NOT NULL REFERENCES users (name) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    seen_at    INTEGER NOT NULL,
    address    TEXT NOT NULL
);
CREATE INDEX sessions_of_user ON sessions (user_name);

-- Who did what, when, from where; each row carries the hash of the one before.
CREATE TABLE audit (
    n       INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL,
    who     TEXT NOT NULL,
    action  TEXT NOT NULL,
    object  TEXT NOT NULL,
    address TEXT NOT NULL,
    detail  TEXT NOT NULL,
    prev    BLOB NOT NULL,
    hash    BLOB NOT NULL
);

-- Nodes --------------------------------------------------------------------------------------------------------

-- A machine with a certificate.
CREATE TABLE nodes (
    id           TEXT PRIMARY KEY,
    hall         TEXT NOT NULL,
    version      TEXT NOT NULL,
    enrolled_at  INTEGER NOT NULL,
    last_seen    INTEGER,
    quarantined  TEXT,                 -- forked, case_reopened, two_machines; NULL when in good standing
    alarm        TEXT                  -- in plain words, why
);
CREATE INDEX nodes_of_hall ON nodes (hall);

-- Only the digest of a code is kept.
CREATE TABLE pairing_codes (
    digest     BLOB PRIMARY KEY,
    hall       TEXT NOT NULL,
    issued_by  TEXT NOT NULL,
    issued_at  INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at    INTEGER,
    used_by    TEXT                    -- the node it made
);

CREATE TABLE certificates (
    serial      TEXT PRIMARY KEY,      -- lower-case hexadecimal
    node        TEXT NOT NULL,
    hall        TEXT NOT NULL,
    issued_at   INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    revoked_at  INTEGER,
    revoked_why TEXT
);
CREATE INDEX certificates_of_node ON certificates (node);

-- How far each journal has been committed without a gap.
CREATE TABLE node_marks (
    node   TEXT NOT NULL,
    epoch  INTEGER NOT NULL,
    seq    INTEGER NOT NULL,
    digest BLOB NOT NULL,              -- of the event `seq`; zeros when seq is 0
    PRIMARY KEY (node, epoch)
);

-- Every event as it came. `n` counts them in the order of intake and is the cursor of lists; an event that came ahead
-- of its turn is stored here too, and takes effect (`projected`) when the mark reaches it.
CREATE TABLE events (
    n           INTEGER PRIMARY KEY,
    node        TEXT NOT NULL,
    epoch       INTEGER NOT NULL,
    seq         INTEGER NOT NULL,
    prev        BLOB NOT NULL,
    hash        BLOB NOT NULL,
    at          INTEGER NOT NULL,
    hall        TEXT NOT NULL,
    win         TEXT,
    device      TEXT,
    case_id     TEXT,
    kind        TEXT NOT NULL,
    bytes       BLOB NOT NULL,         -- the exact line of JSON
    received_at INTEGER NOT NULL,
    projected   INTEGER NOT NULL,
    UNIQUE (node, epoch, seq)
);
CREATE INDEX events_of_case ON events (case_id, at, n) WHERE case_id IS NOT NULL;
CREATE INDEX events_of_hall ON events (hall, n);
CREATE INDEX events_of_kind ON events (kind, n);
CREATE INDEX events_ahead ON events (node, epoch, seq) WHERE projected = 0;

-- Events that cannot be read, kept raw so that nothing is lost and nothing waits for them.
CREATE TABLE dead_events (
    node        TEXT NOT NULL,
    digest      BLOB NOT NULL,
    epoch       INTEGER,
    seq         INTEGER,
    bytes       BLOB NOT NULL,
    why         TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    PRIMARY KEY (node, digest)
);

-- Which epoch opened a case: a second epoch opening the same one is a restored database.
CREATE TABLE case_epochs (
    case_id TEXT PRIMARY KEY,
    node    TEXT NOT NULL,
    epoch   INTEGER NOT NULL
);

-- Orders for a node, delivered at least once, done once.
CREATE TABLE commands (
    id         TEXT PRIMARY KEY,
    node       TEXT NOT NULL,
    body       TEXT NOT NULL,          -- the order, JSON
    issued_by  TEXT NOT NULL,
    issued_at  INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    done_at    INTEGER,
    ok         INTEGER,
    detail     TEXT
);
CREATE INDEX commands_open ON commands (node, issued_at) WHERE done_at IS NULL;

-- What the edges have, mirrored --------------------------------------------------------------------------------

CREATE TABLE cameras (
    id     TEXT PRIMARY KEY,
    hall   TEXT NOT NULL,
    node   TEXT NOT NULL,
    win    TEXT,                       -- NULL: the hall at large
    name   TEXT NOT NULL,
    url    TEXT NOT NULL,              -- without user or password
    place  INTEGER NOT NULL,           -- in the edge's own order
    state  TEXT NOT NULL,              -- from the journal: connecting, live, offline; what is true now is in memory
    why    TEXT,
    since  INTEGER NOT NULL
);
CREATE INDEX cameras_of_hall ON cameras (hall, place);

CREATE TABLE positions (
    id           TEXT PRIMARY KEY,
    hall         TEXT NOT NULL,
    node         TEXT NOT NULL,
    win          TEXT,
    role         TEXT NOT NULL,
    health       TEXT NOT NULL,        -- unknown, up, silent, degraded, down
    why          TEXT,
    since        INTEGER NOT NULL,
    hardware     TEXT,
    clock_offset INTEGER               -- seconds the device is ahead
);
CREATE INDEX positions_of_hall ON positions (hall);

-- How new the mirrored configuration of a node is.
CREATE TABLE mirrors (
    node TEXT PRIMARY KEY,
    at   INTEGER NOT NULL
);

-- Read models ---------------------------------------------------------------------------------------------------

-- A ticket from the printer to its end. One ticket is one case.
CREATE TABLE tickets (
    case_id    TEXT PRIMARY KEY,
    hall       TEXT NOT NULL,
    number     TEXT NOT NULL,
    business   TEXT,
    priority   INTEGER NOT NULL,
    state      TEXT NOT NULL,          -- waiting called serving held done no_show
    win        TEXT,                   -- where it was last called, or is to go after a transfer
    issued_at  INTEGER,
    called_at  INTEGER,
    started_at INTEGER,
    ended_at   INTEGER,
    recalls    INTEGER NOT NULL,
    at         INTEGER NOT NULL        -- of the newest event that set the state
);
CREATE INDEX tickets_in_hall ON tickets (hall, state);
CREATE INDEX tickets_by_time ON tickets (hall, issued_at);

-- A window now.
CREATE TABLE window_states (
    win          TEXT PRIMARY KEY,
    hall         TEXT NOT NULL,
    state        TEXT NOT NULL,        -- closed idle called serving rating paused
    before_pause TEXT,                 -- the state a pause interrupts
    ticket       TEXT,
    case_id      TEXT,
    clerk        TEXT,
    pause_reason TEXT,
    since        INTEGER NOT NULL,
    rated_grade  INTEGER,
    rated_at     INTEGER,
    at           INTEGER NOT NULL      -- of the newest event that set the state
);
CREATE INDEX window_states_of_hall ON window_states (hall);

CREATE TABLE cases (
    case_id     TEXT PRIMARY KEY,
    hall        TEXT NOT NULL,
    win         TEXT,
    ticket      TEXT NOT NULL,
    business    TEXT,
    state       TEXT NOT NULL,         -- waiting called serving rated closed
    clerk       TEXT,                  -- signed in at the window when the ticket was called
    grade       INTEGER,
    official_no TEXT,
    opened_at   INTEGER NOT NULL,
    called_at   INTEGER,
    started_at  INTEGER,
    ended_at    INTEGER,
    closed_at   INTEGER,
    ended_by    TEXT,
    accurate    INTEGER NOT NULL,      -- 0: closed by the day's end, its end says nothing about the service
    at          INTEGER NOT NULL       -- of the newest event that set the state
);
CREATE INDEX cases_by_time ON cases (opened_at, case_id);
CREATE INDEX cases_of_hall ON cases (hall, opened_at, case_id);
CREATE INDEX cases_of_window ON cases (win, opened_at, case_id);

-- Presses on an evaluator and invitations nobody answered. Grade NULL: timed out, or a key with no meaning.
CREATE TABLE ratings (
    node    TEXT NOT NULL,
    epoch   INTEGER NOT NULL,
    seq     INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    hall    TEXT NOT NULL,
    win     TEXT,
    device  TEXT,
    case_id TEXT,
    ticket  TEXT,
    outcome TEXT NOT NULL,             -- given, timed_out, unsolicited
    grade   INTEGER,
    raw     INTEGER,
    why     TEXT,
    PRIMARY KEY (node, epoch, seq)
);
CREATE INDEX ratings_by_time ON ratings (hall, at);

-- A punch is one however often its terminal reports it.
CREATE TABLE punches (
    terminal   TEXT NOT NULL,
    employee   TEXT NOT NULL,
    punched_at INTEGER NOT NULL,
    hall       TEXT NOT NULL,
    verify     INTEGER NOT NULL,
    state      INTEGER NOT NULL,
    live       INTEGER NOT NULL,
    PRIMARY KEY (terminal, employee, punched_at)
);
CREATE INDEX punches_by_time ON punches (hall, punched_at);

-- Window events of each hall, and how many of them carry a case ID.
CREATE TABLE coverage (
    hall          TEXT PRIMARY KEY,
    window_events INTEGER NOT NULL,
    tagged        INTEGER NOT NULL
);
