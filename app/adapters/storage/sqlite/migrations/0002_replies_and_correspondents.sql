-- Replies that are pushed. The recipient, the text and the open question stand only in sealed, and only until settled.
CREATE TABLE reply (
    id INTEGER PRIMARY KEY,
    key BLOB NOT NULL UNIQUE,
    alias BLOB UNIQUE,
    sender TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'sending', 'sent', 'failed')),
    sealed BLOB,
    tries INTEGER NOT NULL DEFAULT 0,
    doubts INTEGER NOT NULL DEFAULT 0,
    doubtful INTEGER NOT NULL DEFAULT 0 CHECK (doubtful IN (0, 1)),
    owed_at INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    tried_at INTEGER,
    provider_id TEXT,
    delivery TEXT CHECK (delivery IN ('accepted', 'sent', 'delivered', 'failed')),
    delivery_at INTEGER,
    why TEXT
) STRICT;
-- covers the search for what is due, so that a long queue is looked through without its rows
CREATE INDEX reply_due ON reply (due_at, owed_at) WHERE state IN ('waiting', 'sending');
CREATE INDEX reply_by_provider_id ON reply (sender, provider_id) WHERE provider_id IS NOT NULL;

-- Personal data, erasable: what a caller chose and was told, under the keyed token alone.
CREATE TABLE correspondent (
    token BLOB PRIMARY KEY,
    key_id INTEGER NOT NULL,
    locale TEXT NOT NULL,
    opted_out INTEGER NOT NULL CHECK (opted_out IN (0, 1)),
    at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX correspondent_kept ON correspondent (at) WHERE opted_out = 0;

-- Commands that were done, so that one that is delivered again changes nothing; keys of messages, of nobody.
CREATE TABLE obeyed (
    key BLOB PRIMARY KEY,
    at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX obeyed_at ON obeyed (at);

CREATE TABLE notice (
    token BLOB NOT NULL,
    kind TEXT NOT NULL,
    message BLOB NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (token, kind)
) STRICT, WITHOUT ROWID;
CREATE INDEX notice_until ON notice (until);

-- What was spent on a day of the display zone; caller is a token, or empty for the whole day.
CREATE TABLE spending (
    day TEXT NOT NULL,
    kind TEXT NOT NULL,
    caller BLOB NOT NULL,
    units INTEGER NOT NULL,
    PRIMARY KEY (day, kind, caller)
) STRICT, WITHOUT ROWID;
