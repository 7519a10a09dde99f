-- Who waits in a hall, and since when, without reading the tickets of all the days before.
CREATE INDEX tickets_waiting ON tickets (hall, issued_at) WHERE state = 'waiting';
