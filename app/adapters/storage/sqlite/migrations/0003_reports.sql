-- What callers report as suspicious. The recording is named here and kept elsewhere; its name goes after 90 days.
CREATE TABLE report (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    channel TEXT NOT NULL,
    account TEXT NOT NULL,
    message_key BLOB NOT NULL,
    verification INTEGER,
    recording TEXT,
    UNIQUE (message_key, recording)
) STRICT;
CREATE INDEX report_recorded ON report (at) WHERE recording IS NOT NULL;
