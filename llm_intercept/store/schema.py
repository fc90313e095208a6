"""The schema of each database, as append-only lists of migrations.

A migration is (name, SQL script); applied names are kept in the table `migrations` of the same
file (`store/migrate.py`). Never edit one that has been released: append.
"""

from llm_intercept.store.schema_accounts import ACCOUNTS
from llm_intercept.store.schema_api import API
from llm_intercept.store.schema_audit import AUDIT, AUDIT_REQUESTS
from llm_intercept.store.schema_principals import PRINCIPALS
from llm_intercept.store.schema_rollups import ROLLUPS

USAGE: tuple[tuple[str, str], ...] = (
    (
        "m001_initial",
        """
        CREATE TABLE requests (
            id INTEGER PRIMARY KEY,              -- epoch microseconds, bumped on collision
            ts TEXT GENERATED ALWAYS AS (strftime('%Y-%m-%dT%H:%M:%fZ', id / 1000000.0, 'unixepoch')) VIRTUAL,
            request_id TEXT NOT NULL UNIQUE,
            project TEXT NOT NULL, token TEXT NOT NULL, user TEXT NOT NULL,
            session_id TEXT NOT NULL, client TEXT NOT NULL, client_ip TEXT NOT NULL,
            entry TEXT NOT NULL, provider TEXT NOT NULL, host TEXT NOT NULL,
            method TEXT NOT NULL, path TEXT NOT NULL,
            dialect TEXT NOT NULL, operation TEXT NOT NULL,
            model_requested TEXT NOT NULL, model TEXT NOT NULL,
            stream INTEGER NOT NULL,
            status INTEGER, outcome TEXT NOT NULL,
            error_type TEXT NOT NULL, error_message TEXT NOT NULL, finish_reason TEXT NOT NULL,
            input_tokens INTEGER, output_tokens INTEGER,
            cache_read_tokens INTEGER, cache_write_tokens INTEGER, cache_write_1h_tokens INTEGER,
            reasoning_tokens INTEGER,
            usage_source TEXT NOT NULL,
            cost_nanos INTEGER, priced INTEGER NOT NULL, price_source TEXT NOT NULL,
            duration_ms REAL, ttfb_ms REAL, ttft_ms REAL, tokens_per_second REAL, overhead_ms REAL,
            request_bytes INTEGER NOT NULL, response_bytes INTEGER NOT NULL,
            request_sha256 TEXT NOT NULL, upstream_sha256 TEXT NOT NULL,
            changes TEXT NOT NULL, warnings TEXT NOT NULL,
            attempts INTEGER NOT NULL, credential TEXT NOT NULL, response_id TEXT NOT NULL,
            phases TEXT NOT NULL, simulated INTEGER NOT NULL
        );
        -- The primary key is the time, so every one-column index is ordered by time as well.
        CREATE INDEX requests_project ON requests(project);
        CREATE INDEX requests_token ON requests(token);
        CREATE INDEX requests_model ON requests(model);
        CREATE INDEX requests_session ON requests(session_id) WHERE session_id <> '';
        CREATE INDEX requests_errors ON requests(id) WHERE status >= 400;
        CREATE INDEX requests_outcome ON requests(outcome);

        CREATE TABLE attempts (
            request_id INTEGER NOT NULL REFERENCES requests(id),
            number INTEGER NOT NULL,
            provider TEXT NOT NULL, host TEXT NOT NULL, credential TEXT NOT NULL,
            status INTEGER, outcome TEXT NOT NULL, error_message TEXT NOT NULL,
            started_us INTEGER NOT NULL, connect_ms REAL, ttfb_ms REAL, duration_ms REAL,
            PRIMARY KEY (request_id, number)
        ) WITHOUT ROWID;

        -- Latency histograms: `duration_N` counts the calls whose duration falls into bucket N of
        -- store/rollup.py (LATENCY_BOUNDS_MS), `ttft_N` the same for the time to the first token.
        CREATE TABLE usage_hour (
            bucket TEXT NOT NULL,                -- '2026-11-20T07' (UTC)
            project TEXT NOT NULL, token TEXT NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL,
            requests INTEGER NOT NULL DEFAULT 0, errors INTEGER NOT NULL DEFAULT 0,
            streams INTEGER NOT NULL DEFAULT 0, unpriced INTEGER NOT NULL DEFAULT 0,
            input_tokens INTEGER NOT NULL DEFAULT 0, output_tokens INTEGER NOT NULL DEFAULT 0,
            cache_read_tokens INTEGER NOT NULL DEFAULT 0, cache_write_tokens INTEGER NOT NULL DEFAULT 0,
            reasoning_tokens INTEGER NOT NULL DEFAULT 0,
            cost_nanos INTEGER NOT NULL DEFAULT 0,
            duration_ms_sum REAL NOT NULL DEFAULT 0, duration_count INTEGER NOT NULL DEFAULT 0,
            ttft_ms_sum REAL NOT NULL DEFAULT 0, ttft_count INTEGER NOT NULL DEFAULT 0,
            {histograms},
            PRIMARY KEY (bucket, project, token, provider, model)
        ) WITHOUT ROWID;
        CREATE TABLE usage_day (
            bucket TEXT NOT NULL,                -- '2026-11-20' (UTC)
            project TEXT NOT NULL, token TEXT NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL,
            requests INTEGER NOT NULL DEFAULT 0, errors INTEGER NOT NULL DEFAULT 0,
            streams INTEGER NOT NULL DEFAULT 0, unpriced INTEGER NOT NULL DEFAULT 0,
            input_tokens INTEGER NOT NULL DEFAULT 0, output_tokens INTEGER NOT NULL DEFAULT 0,
            cache_read_tokens INTEGER NOT NULL DEFAULT 0, cache_write_tokens INTEGER NOT NULL DEFAULT 0,
            reasoning_tokens INTEGER NOT NULL DEFAULT 0,
            cost_nanos INTEGER NOT NULL DEFAULT 0,
            duration_ms_sum REAL NOT NULL DEFAULT 0, duration_count INTEGER NOT NULL DEFAULT 0,
            ttft_ms_sum REAL NOT NULL DEFAULT 0, ttft_count INTEGER NOT NULL DEFAULT 0,
            {histograms},
            PRIMARY KEY (bucket, project, token, provider, model)
        ) WITHOUT ROWID;
        """.replace(
            "{histograms}",
            ", ".join(
                f"{kind}_{n} INTEGER NOT NULL DEFAULT 0" for kind in ("duration", "ttft") for n in range(16)
            ),
        ),
    ),
    (
        "m002_violations",
        """
        -- What was wrong with a stream, by the grammar of its dialect; only a share of them is checked.
        CREATE TABLE violations (
            request_id INTEGER NOT NULL REFERENCES requests(id),
            side TEXT NOT NULL,                  -- provider | ours
            dialect TEXT NOT NULL,
            event INTEGER NOT NULL,              -- number of the event that showed it, from 1; 0: the end did
            sentence TEXT NOT NULL,
            PRIMARY KEY (request_id, side, sentence)
        ) WITHOUT ROWID;
        """,
    ),
    (
        "m003_routing",
        """
        ALTER TABLE requests ADD COLUMN listener TEXT NOT NULL DEFAULT '';   -- named listener it came by
        ALTER TABLE requests ADD COLUMN route TEXT NOT NULL DEFAULT '';      -- route that chose its targets
        ALTER TABLE requests ADD COLUMN failure TEXT NOT NULL DEFAULT '';    -- what was simulated
        ALTER TABLE attempts ADD COLUMN model TEXT NOT NULL DEFAULT '';
        ALTER TABLE attempts ADD COLUMN reason TEXT NOT NULL DEFAULT '';     -- why this target at this moment
        ALTER TABLE attempts ADD COLUMN input_tokens INTEGER;
        ALTER TABLE attempts ADD COLUMN output_tokens INTEGER;
        ALTER TABLE attempts ADD COLUMN cost_nanos INTEGER;
        -- Who issued an answer that a conversation goes on from (only this dialect can name one).
        CREATE INDEX requests_response ON requests(response_id)
            WHERE response_id <> '' AND dialect = 'openai_responses';
        -- What is known of each stored key: written by the proxy, so that it survives a restart.
        CREATE TABLE key_health (
            provider TEXT NOT NULL, credential TEXT NOT NULL,
            model TEXT NOT NULL,                 -- '': the whole key; else the model that it is refused for
            cooling_until_us INTEGER NOT NULL,   -- 0: in use
            reason TEXT NOT NULL,                -- why it cools down: '429 rate_limit_error'
            headroom TEXT NOT NULL,              -- JSON of policy/cooling.py: Headroom
            seen_us INTEGER NOT NULL,
            PRIMARY KEY (provider, credential, model)
        ) WITHOUT ROWID;
        CREATE TABLE breakers (
            provider TEXT NOT NULL, credential TEXT NOT NULL, model TEXT NOT NULL,
            state TEXT NOT NULL,                 -- closed | open | half_open
            failures INTEGER NOT NULL,           -- in a row
            reason TEXT NOT NULL,                -- the last failure
            until_us INTEGER NOT NULL,           -- open: when a trial is let through
            openings INTEGER NOT NULL,           -- in a row: each time it waits longer
            changed_us INTEGER NOT NULL,
            PRIMARY KEY (provider, credential, model)
        ) WITHOUT ROWID;
        """,
    ),
    (
        "m004_token_use",
        """
        CREATE TABLE token_use (
            project TEXT NOT NULL, token TEXT NOT NULL,
            requests INTEGER NOT NULL,           -- that were not refused here
            refused INTEGER NOT NULL,
            first_us INTEGER NOT NULL, last_us INTEGER NOT NULL,
            PRIMARY KEY (project, token)
        ) WITHOUT ROWID;
        INSERT INTO token_use SELECT project, token, sum(outcome <> 'refused'), sum(outcome = 'refused'),
            min(id), max(id) FROM requests WHERE token <> '' AND substr(token, 1, 4) <> 'own:'
            GROUP BY project, token;
        """,
    ),
    ("m005_rollups", ROLLUPS),
    (
        "m006_cache",
        """
        ALTER TABLE requests ADD COLUMN cache TEXT NOT NULL DEFAULT '';  -- hit | miss | stored | bypass
        ALTER TABLE requests ADD COLUMN saved_tokens INTEGER;
        ALTER TABLE requests ADD COLUMN saved_nanos INTEGER;
        ALTER TABLE usage_hour ADD COLUMN cache_hits INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE usage_hour ADD COLUMN saved_nanos INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE usage_day ADD COLUMN cache_hits INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE usage_day ADD COLUMN saved_nanos INTEGER NOT NULL DEFAULT 0;
        """,
    ),
    (
        "m007_cache_asked",
        """
        ALTER TABLE usage_hour ADD COLUMN cache_asked INTEGER NOT NULL DEFAULT 0;  -- hit, miss or stored
        ALTER TABLE usage_day ADD COLUMN cache_asked INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE token_use ADD COLUMN cache_hits INTEGER NOT NULL DEFAULT 0;    -- among its requests
        CREATE INDEX requests_hits ON requests(id) WHERE cache = 'hit';
        -- Which call a hit has its answer from: both have the provider's id of that.
        CREATE INDEX requests_stored ON requests(response_id) WHERE cache = 'stored' AND response_id <> '';
        """,
    ),
)

CONTROL: tuple[tuple[str, str], ...] = (
    (
        "m001_initial",
        """
        CREATE TABLE projects (
            id TEXT PRIMARY KEY,                 -- 'prj_...'
            name TEXT NOT NULL UNIQUE COLLATE NOCASE,
            capture TEXT,                        -- none | errors | all; NULL: as in settings
            created_at TEXT NOT NULL,
            active INTEGER NOT NULL DEFAULT 1
        );
        CREATE TABLE tokens (
            id TEXT PRIMARY KEY,                 -- 'tok_...'
            project_id TEXT NOT NULL REFERENCES projects(id),
            name TEXT NOT NULL,
            user TEXT NOT NULL DEFAULT '',
            kind TEXT NOT NULL DEFAULT 'bearer', -- bearer | aws
            digest BLOB NOT NULL UNIQUE,         -- HMAC-SHA256 of the token; of the access key id for aws
            hint TEXT NOT NULL,                  -- 'lli_ab...wxyz', for people to recognise it by
            secret BLOB,                         -- aws only: the secret key, encrypted (SigV4 needs it back)
            created_at TEXT NOT NULL,
            expires_at TEXT,
            revoked_at TEXT,
            UNIQUE (project_id, name)
        );
        CREATE TABLE credentials (
            id TEXT PRIMARY KEY,                 -- 'cred_...'
            provider TEXT NOT NULL,
            name TEXT NOT NULL,
            secret BLOB NOT NULL,                -- encrypted
            hint TEXT NOT NULL,                  -- 'sk-...last4'
            base_url TEXT,
            created_at TEXT NOT NULL,
            enabled INTEGER NOT NULL DEFAULT 1,
            UNIQUE (provider, name)
        );
        CREATE TABLE login_links (
            digest BLOB PRIMARY KEY,
            created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL, used_at INTEGER
        );
        CREATE TABLE sessions (
            digest BLOB PRIMARY KEY,
            actor TEXT NOT NULL, role TEXT NOT NULL,
            created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL, last_seen_at INTEGER NOT NULL,
            user_agent TEXT NOT NULL DEFAULT '', client_ip TEXT NOT NULL DEFAULT ''
        );
        """,
    ),
    (
        "m002_key_check",
        """
        CREATE TABLE key_check (                 -- tells a wrong secret.key at once
            id INTEGER PRIMARY KEY CHECK (id = 1),
            digest BLOB NOT NULL
        );
        """,
    ),
    (
        "m003_routes",
        """
        CREATE TABLE routes (
            id TEXT PRIMARY KEY,                 -- 'rte_...'
            name TEXT NOT NULL UNIQUE COLLATE NOCASE,
            position INTEGER NOT NULL,           -- the lowest that matches a call decides
            document TEXT NOT NULL,              -- JSON of policy/routing.py: Route
            enabled INTEGER NOT NULL DEFAULT 1,
            created_at TEXT NOT NULL, changed_at TEXT NOT NULL
        );
        ALTER TABLE credentials ADD COLUMN weight INTEGER NOT NULL DEFAULT 1;
        ALTER TABLE credentials ADD COLUMN pool TEXT NOT NULL DEFAULT '';    -- '': in every pool
        -- Asked for by a person, carried out by the proxy: '' stands for all.
        CREATE TABLE breaker_resets (
            provider TEXT NOT NULL, credential TEXT NOT NULL, model TEXT NOT NULL,
            asked_us INTEGER NOT NULL,
            PRIMARY KEY (provider, credential, model)
        );
        """,
    ),
    (
        "m004_listeners",
        """
        CREATE TABLE listeners (
            id TEXT PRIMARY KEY,                 -- 'lsn_...'
            name TEXT NOT NULL UNIQUE COLLATE NOCASE,
            mode TEXT NOT NULL,                  -- regular, reverse:URL, upstream:URL, local:APP, wireguard
            host TEXT NOT NULL,
            port INTEGER UNIQUE,                 -- NULL where the mode has none (local)
            provider TEXT NOT NULL DEFAULT '',   -- for calls that do not name one
            project TEXT NOT NULL DEFAULT '',    -- for calls without a token
            auth TEXT NOT NULL DEFAULT '',       -- open | required; '': as in settings
            cache TEXT NOT NULL DEFAULT '',      -- off | opt-in | on; '': as in settings
            wanted TEXT NOT NULL DEFAULT 'stopped',  -- running | stopped: what a command asked for
            state TEXT NOT NULL DEFAULT 'stopped',   -- running | stopped | error: what the proxy made of it
            problem TEXT NOT NULL DEFAULT '',
            created_at TEXT NOT NULL, changed_at TEXT NOT NULL
        );
        """,
    ),
    (
        "m005_failures",
        """
        CREATE TABLE failures (
            scope TEXT NOT NULL,                 -- listener | project
            name TEXT NOT NULL COLLATE NOCASE,
            document TEXT NOT NULL,              -- JSON of policy/failures.py: Failures
            changed_at TEXT NOT NULL,
            PRIMARY KEY (scope, name)
        );
        -- Another listener of the same name must not inherit them.
        CREATE TRIGGER failures_of_listeners AFTER DELETE ON listeners BEGIN
            DELETE FROM failures WHERE scope = 'listener' AND name = old.name;
        END;
        """,
    ),
    (
        "m006_limits",
        """
        CREATE TABLE limits (
            id TEXT PRIMARY KEY,                 -- 'lim_...'
            document TEXT NOT NULL,              -- JSON of policy/limits.py: Limit
            enabled INTEGER NOT NULL DEFAULT 1,
            created_at TEXT NOT NULL, changed_at TEXT NOT NULL
        );
        """,
    ),
    ("m007_principals", PRINCIPALS),
    ("m008_audit", AUDIT),
    ("m009_accounts", ACCOUNTS),
    ("m010_api", API),
    (
        "m011_cache",
        """
        ALTER TABLE projects ADD COLUMN cache TEXT;  -- off | opt-in | on; NULL: as in settings
        """,
    ),
    ("m012_audit_requests", AUDIT_REQUESTS),
)

BODIES: tuple[tuple[str, str], ...] = (
    (
        "m001_initial",
        """
        CREATE TABLE bodies (
            request_id INTEGER NOT NULL,         -- requests.id
            side TEXT NOT NULL,                  -- request | response
            content_type TEXT NOT NULL,
            size INTEGER NOT NULL,               -- bytes before the cap and compression
            truncated INTEGER NOT NULL,
            codec TEXT NOT NULL,                 -- zlib
            content BLOB NOT NULL,
            PRIMARY KEY (request_id, side)
        ) WITHOUT ROWID;
        """,
    ),
)

LIMITS: tuple[tuple[str, str], ...] = (
    (
        "m001_initial",
        """
        CREATE TABLE counters (
            key TEXT PRIMARY KEY,                -- limit id, ':', member
            state TEXT NOT NULL                  -- JSON of policy/windows.py: Counter
        ) WITHOUT ROWID;
        CREATE TABLE reservations (
            id INTEGER PRIMARY KEY,
            owner TEXT NOT NULL,                 -- the process that holds it
            call TEXT NOT NULL,                  -- requests.request_id
            holds TEXT NOT NULL,                 -- JSON: [[key, cell's start, measure, amount], ...]
            opened_us INTEGER NOT NULL
        );
        CREATE TABLE owners (
            id TEXT PRIMARY KEY,                 -- its lock file lies in the home's leases/
            since_us INTEGER NOT NULL
        ) WITHOUT ROWID;
        """,
    ),
)

CACHE: tuple[tuple[str, str], ...] = (
    (
        "m001_initial",
        """
        CREATE TABLE answers (
            id INTEGER PRIMARY KEY,              -- epoch microseconds of storing, bumped on collision
            key BLOB NOT NULL UNIQUE,            -- policy/fingerprint.py
            project TEXT NOT NULL, token TEXT NOT NULL, request_id TEXT NOT NULL,  -- whose call it was
            provider TEXT NOT NULL, host TEXT NOT NULL, model TEXT NOT NULL,
            dialect TEXT NOT NULL, operation TEXT NOT NULL,
            stream INTEGER NOT NULL,
            content_type TEXT NOT NULL,
            headers TEXT NOT NULL,               -- JSON: [[name, value], ...]
            size INTEGER NOT NULL,               -- bytes of the answer
            stored INTEGER NOT NULL,             -- bytes of the compressed body
            tokens INTEGER NOT NULL, cost_nanos INTEGER,  -- what a hit saves; NULL: not known
            expires_us INTEGER NOT NULL,
            hits INTEGER NOT NULL DEFAULT 0,
            used_us INTEGER NOT NULL,            -- when it was stored or given last
            body BLOB NOT NULL                   -- zlib; the last, so that the rest is read without it
        );
        CREATE INDEX answers_used ON answers(used_us, stored);
        CREATE INDEX answers_expires ON answers(expires_us);
        CREATE INDEX answers_project ON answers(project);
        """,
    ),
)
