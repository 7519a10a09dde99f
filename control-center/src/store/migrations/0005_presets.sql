-- Presets of the wall (预案): what a person saved of it, for themselves or for the people of an area or hall.
CREATE TABLE wall_presets (
    id         TEXT PRIMARY KEY,
    owner      TEXT    NOT NULL REFERENCES users (name) ON DELETE CASCADE,
    scope      TEXT,                   -- the area or hall it is shared with; NULL: the owner's alone
    name       TEXT    NOT NULL,
    wall       TEXT    NOT NULL,       -- JSON: layout, cameras, patrol
    updated_at INTEGER NOT NULL,
    UNIQUE (owner, name)
);
CREATE INDEX wall_presets_shared ON wall_presets (scope) WHERE scope IS NOT NULL;
