-- Where somebody said they are: a province or city, kept for a day.
ALTER TABLE correspondent ADD COLUMN place TEXT NOT NULL DEFAULT '';
ALTER TABLE correspondent ADD COLUMN place_at INTEGER NOT NULL DEFAULT 0;

-- What a caller reads of their own; other channels keep no such list, and pay nothing for it.
CREATE INDEX verification_own ON verification (caller, id) WHERE channel = 'wechat';

-- Personal data, erasable: who asked to be told of a recall. The address stands only in sealed.
CREATE TABLE recall_watch (
    id INTEGER PRIMARY KEY,
    key BLOB NOT NULL UNIQUE,
    batch INTEGER NOT NULL REFERENCES batch (id),
    token BLOB NOT NULL,
    locale TEXT NOT NULL,
    sealed BLOB NOT NULL,
    at INTEGER NOT NULL,
    UNIQUE (batch, token)
) STRICT;
CREATE INDEX recall_watch_of ON recall_watch (token);
CREATE INDEX recall_watch_at ON recall_watch (at);

-- What a report says in writing, sealed; it goes after 90 days, as recordings do. One report a caller and check.
ALTER TABLE report ADD COLUMN sealed BLOB;
-- Whose report it is, so that what they told goes when they are erased.
ALTER TABLE report ADD COLUMN token BLOB;
CREATE INDEX report_of ON report (token) WHERE token IS NOT NULL;

-- A picture of the product for the channels that can show one: an https address, or empty.
ALTER TABLE product ADD COLUMN picture_url TEXT NOT NULL DEFAULT '';
