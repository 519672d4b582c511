-- The catalogue: brands, products, programmes, batches (a range of serials each) and what happened to them.
CREATE TABLE catalogue_version (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    version INTEGER NOT NULL
) STRICT;
INSERT INTO catalogue_version VALUES (1, 1);

CREATE TABLE key_check (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;

CREATE TABLE brand (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    name_en TEXT NOT NULL,
    short_name TEXT NOT NULL,
    spoken_name TEXT NOT NULL,
    service_line TEXT NOT NULL,
    disclosure TEXT NOT NULL CHECK (disclosure IN ('full', 'minimal')),
    threshold_genuine INTEGER,
    threshold_warn INTEGER
) STRICT;

CREATE TABLE product (
    id INTEGER PRIMARY KEY,
    brand INTEGER NOT NULL REFERENCES brand (id),
    name TEXT NOT NULL,
    name_en TEXT NOT NULL,
    short_name TEXT NOT NULL,
    spoken_name TEXT NOT NULL,
    gtin TEXT NOT NULL,
    threshold_genuine INTEGER,
    threshold_warn INTEGER
) STRICT;

CREATE TABLE programme (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    name_en TEXT NOT NULL,
    threshold_genuine INTEGER,
    threshold_warn INTEGER
) STRICT;

-- Serials are global: layout * 10^15 + serial. The counter hands out ranges and never goes back.
CREATE TABLE serial_counter (layout INTEGER PRIMARY KEY, next INTEGER NOT NULL) STRICT;

CREATE TABLE batch (
    id INTEGER PRIMARY KEY,
    product INTEGER NOT NULL REFERENCES product (id),
    programme INTEGER REFERENCES programme (id),
    layout INTEGER NOT NULL,
    digits INTEGER NOT NULL,
    first_serial INTEGER NOT NULL UNIQUE,
    last_serial INTEGER NOT NULL CHECK (last_serial >= first_serial),
    tag_key_id INTEGER,
    url_prefix TEXT NOT NULL,
    issued_at INTEGER NOT NULL
) STRICT;

-- Append-only: among the events that cover a label the last one wins.
CREATE TABLE state_event (
    id INTEGER PRIMARY KEY,
    batch INTEGER NOT NULL REFERENCES batch (id),
    first_serial INTEGER NOT NULL,
    last_serial INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('active', 'voided', 'expired')),
    reason TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;

CREATE TABLE recall_event (
    id INTEGER PRIMARY KEY,
    batch INTEGER NOT NULL REFERENCES batch (id),
    recalled INTEGER NOT NULL CHECK (recalled IN (0, 1)),
    reason TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;

-- Codes of other systems by keyed digest. A row counts only while its serial lies in a batch.
CREATE TABLE imported_code (digest BLOB PRIMARY KEY, serial INTEGER NOT NULL) STRICT, WITHOUT ROWID;

-- The record. Times are microseconds since 1970 UTC. See docs/decisions/0001-what-a-verification-writes.md.
CREATE TABLE verification (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    serial INTEGER,
    ordinal INTEGER,
    own_ordinal INTEGER,
    outcome TEXT NOT NULL,
    reasons TEXT,
    channel TEXT NOT NULL,
    place TEXT,
    caller INTEGER,
    digest BLOB,
    policy INTEGER
) STRICT;

-- Folded from the record: everything up to fold.through is contained, and may be ahead of it.
CREATE TABLE fold (one INTEGER PRIMARY KEY CHECK (one = 1), through INTEGER NOT NULL) STRICT;
INSERT INTO fold VALUES (1, 0);

CREATE TABLE label_history (
    serial INTEGER PRIMARY KEY,
    count INTEGER NOT NULL,
    first_at INTEGER NOT NULL,
    first_channel TEXT NOT NULL,
    first_place TEXT,
    first_caller INTEGER,
    first_caller_count INTEGER NOT NULL
) STRICT;

CREATE TABLE label_caller (
    serial INTEGER NOT NULL,
    caller INTEGER NOT NULL,
    count INTEGER NOT NULL,
    first_at INTEGER NOT NULL,
    PRIMARY KEY (serial, caller)
) STRICT, WITHOUT ROWID;

-- Personal data, erasable: a random reference stands in the record, the keyed token only here.
CREATE TABLE caller (
    id INTEGER PRIMARY KEY,
    token BLOB NOT NULL UNIQUE,
    key_id INTEGER NOT NULL,
    reference INTEGER NOT NULL UNIQUE,
    at INTEGER NOT NULL
) STRICT;

CREATE TABLE message (
    id INTEGER PRIMARY KEY,
    key BLOB NOT NULL UNIQUE,
    at INTEGER NOT NULL,
    verdict BLOB NOT NULL
) STRICT;

CREATE TABLE readiness (one INTEGER PRIMARY KEY CHECK (one = 1), at INTEGER NOT NULL) STRICT;
