"""What the tables are, and how an older file becomes one of today.

A migration that has shipped never changes: what comes after it is a new one.
"""

import apsw

from gateway.stores.sqlite_former import FORMER
from gateway.stores.sqlite_usage import USAGE
from gateway.stores.writer import transaction

# `seq` is the order of coming, and the key by which all that belongs to a job is found. A request
# is written once, apart from what changes while the job runs. Events are only ever appended: a
# row is what one job said between two looks at it.
_JOBS = """
CREATE TABLE jobs (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    tenant TEXT NOT NULL,
    user TEXT,
    door TEXT NOT NULL,
    created_at REAL NOT NULL,
    idempotency_key TEXT,
    state TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    claimed_at REAL,
    finished_at REAL,
    outcome BLOB
) STRICT;
CREATE UNIQUE INDEX jobs_by_key ON jobs (idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX jobs_by_end ON jobs (finished_at);

CREATE TABLE requests (
    seq INTEGER PRIMARY KEY REFERENCES jobs,
    body BLOB NOT NULL
) STRICT;

CREATE TABLE events (
    seq INTEGER PRIMARY KEY,
    job INTEGER NOT NULL REFERENCES jobs,
    attempt INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE INDEX events_by_job ON events (job);

CREATE TABLE deliveries (
    seq INTEGER PRIMARY KEY REFERENCES jobs,
    tenant TEXT NOT NULL,
    state TEXT NOT NULL,
    next_at REAL NOT NULL,
    callback BLOB,
    body BLOB NOT NULL
) STRICT;
CREATE INDEX deliveries_due ON deliveries (next_at) WHERE state = 'pending';

CREATE TABLE conversations (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    tenant TEXT NOT NULL,
    user TEXT,
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL,
    turns INTEGER NOT NULL,
    characters INTEGER NOT NULL
) STRICT;
CREATE INDEX conversations_by_change ON conversations (tenant, updated_at, id);

CREATE TABLE turns (
    seq INTEGER PRIMARY KEY,
    conversation INTEGER NOT NULL REFERENCES conversations,
    id TEXT NOT NULL,
    characters INTEGER NOT NULL,
    body BLOB NOT NULL,
    UNIQUE (conversation, id)
) STRICT;
"""

_LOST = "ALTER TABLE jobs ADD COLUMN lost BLOB"

# An entry is what a list shows of a job: long texts would make looking through many slow. What is
# listed is found from the newest down; those that failed, and callbacks that wait or are dead, are
# few beside the others. A question is the newest text of its user.
_HISTORY = """
CREATE TABLE entries (
    seq INTEGER PRIMARY KEY REFERENCES jobs,
    prompt TEXT NOT NULL,
    model TEXT NOT NULL,
    provider TEXT,
    first_token_at REAL,
    prompt_tokens INTEGER,
    completion_tokens INTEGER,
    estimated INTEGER,
    cost INTEGER NOT NULL DEFAULT 0,
    error_code TEXT,
    error TEXT,
    retryable INTEGER
) STRICT;
INSERT INTO entries
SELECT
    seq,
    coalesce((
        SELECT substr(value ->> '$.content', 1, 1000)
        FROM json_each(CAST(body AS TEXT), '$.request.messages')
        WHERE value ->> '$.role' = 'user' AND json_type(value, '$.content') = 'text'
        ORDER BY key DESC LIMIT 1
    ), ''),
    coalesce(ended ->> '$.model', CAST(body AS TEXT) ->> '$.request.model'),
    ended ->> '$.provider',
    ended ->> '$.first_token_at',
    ended ->> '$.usage.prompt_tokens',
    ended ->> '$.usage.completion_tokens',
    CASE WHEN json_type(ended, '$.usage') IS NOT NULL
        THEN coalesce(ended ->> '$.usage.estimated', 0) END,
    coalesce(ended ->> '$.cost', 0),
    CASE ended ->> '$.terminal.type' WHEN 'failed' THEN ended ->> '$.terminal.code' END,
    CASE ended ->> '$.terminal.type' WHEN 'failed' THEN ended ->> '$.terminal.message' END,
    CASE ended ->> '$.terminal.type' WHEN 'failed'
        THEN coalesce(ended ->> '$.terminal.retryable', 0) END
FROM (SELECT seq, CAST(outcome AS TEXT) AS ended FROM jobs) JOIN requests USING (seq);

CREATE INDEX jobs_by_time ON jobs (created_at);
CREATE INDEX jobs_by_tenant ON jobs (tenant, created_at);
CREATE INDEX jobs_by_user ON jobs (user, created_at) WHERE user IS NOT NULL;
CREATE INDEX jobs_failed ON jobs (state, created_at)
    WHERE state IN ('error', 'cancelled', 'expired');

ALTER TABLE deliveries ADD COLUMN created_at REAL NOT NULL DEFAULT 0;
UPDATE deliveries SET created_at = (SELECT created_at FROM jobs WHERE jobs.seq = deliveries.seq);
CREATE INDEX deliveries_by_time ON deliveries (created_at);
CREATE INDEX deliveries_dead ON deliveries (created_at) WHERE state = 'dead';
DROP INDEX deliveries_due;
CREATE INDEX deliveries_due ON deliveries (next_at, created_at) WHERE state = 'pending';
"""

# What is forgotten by age, and by user.
_CONVERSATIONS = """
CREATE INDEX conversations_by_age ON conversations (updated_at);
CREATE INDEX conversations_by_user ON conversations (tenant, user);
"""

MIGRATIONS = (_JOBS, _LOST, _HISTORY, USAGE, _CONVERSATIONS, FORMER)


def version(db: apsw.Connection) -> int:
    """How many migrations the file has seen."""
    found = db.pragma("user_version")
    if not isinstance(found, int):
        raise AssertionError("a version is a number")
    return found


def migrate(db: apsw.Connection) -> None:
    """Bring the file to today's form, each migration whole or not at all."""
    for number in range(version(db), len(MIGRATIONS)):
        with transaction(db):
            db.execute(MIGRATIONS[number])
            db.pragma("user_version", number + 1)
