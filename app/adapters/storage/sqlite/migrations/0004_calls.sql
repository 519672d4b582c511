-- Calls of the hotline: when each began and how it ended. The key is a keyed digest of the provider's id; no number, no
-- caller and no code stands here. NULL until the end was told. Rows go with the tokens of callers, after 24 months.
CREATE TABLE call (
    key BLOB NOT NULL PRIMARY KEY CHECK (length(key) = 16),
    account TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at INTEGER,
    how TEXT,
    seconds INTEGER,
    CHECK ((ended_at IS NULL) = (how IS NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX call_started ON call (started_at);
