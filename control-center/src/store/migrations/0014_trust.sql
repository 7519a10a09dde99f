-- Which authority signed a certificate (the pin of its key; none: before this was written down), and when a node last came
-- with it, so that an authority is not retired while machines still need it.
ALTER TABLE certificates ADD COLUMN authority TEXT;
ALTER TABLE certificates ADD COLUMN used_at INTEGER;
