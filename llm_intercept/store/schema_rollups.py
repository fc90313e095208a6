"""usage.db: sums by hour and day know users and keys as well, so that reports on them need not read calls.

What there is gets counted anew out of the calls; where some of those are gone, a sum keeps its numbers,
without user and key. Nothing here may be taken from other modules: this is how it was when it was released.
"""

_BOUNDS = (5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 20000, 60000, 120000, 300000)
_ERRORS = (
    "'client_error', 'provider_error', 'refused', 'connect_failed', 'timeout', 'upstream_cut',"
    " 'internal_error', 'interrupted'"
)
_FORMER = "bucket, project, token, provider, model"
_KEYS = f"{_FORMER}, user, credential"
# column -> (its type, what it is of one call)
_SUMS = {
    "requests": ("INTEGER", "1"),
    "errors": ("INTEGER", f"outcome IN ({_ERRORS})"),
    "streams": ("INTEGER", "stream <> 0"),
    "unpriced": ("INTEGER", "NOT priced AND (input_tokens > 0 OR output_tokens > 0)"),
    "input_tokens": ("INTEGER", "input_tokens"),
    "output_tokens": ("INTEGER", "output_tokens"),
    "cache_read_tokens": ("INTEGER", "cache_read_tokens"),
    "cache_write_tokens": ("INTEGER", "cache_write_tokens"),
    "reasoning_tokens": ("INTEGER", "reasoning_tokens"),
    "cost_nanos": ("INTEGER", "cost_nanos"),
    "duration_ms_sum": ("REAL", "duration_ms"),
    "duration_count": ("INTEGER", "duration_ms IS NOT NULL"),
    "ttft_ms_sum": ("REAL", "ttft_ms"),
    "ttft_count": ("INTEGER", "ttft_ms IS NOT NULL"),
}


def _within(kind: str, number: int) -> str:
    """Whether a call's time falls into one bucket of the histogram."""
    low = f"{kind}_ms > {_BOUNDS[number - 1]}" if number else ""
    high = f"{kind}_ms <= {_BOUNDS[number]}" if number < len(_BOUNDS) else ""
    return " AND ".join(filter(None, (low, high)))


for _kind in ("duration", "ttft"):
    _SUMS |= {f"{_kind}_{n}": ("INTEGER", _within(_kind, n)) for n in range(len(_BOUNDS) + 1)}

_NAMES = ", ".join(_SUMS)
_COLUMNS = ", ".join(f"{name} {kind} NOT NULL DEFAULT 0" for name, (kind, _) in _SUMS.items())
_OF_CALLS = ", ".join(f"coalesce(sum({term}), 0) AS {name}" for name, (_, term) in _SUMS.items())
_OF_HOURS = ", ".join(f"sum({name}) AS {name}" for name in _SUMS)
_TOLD = ("requests", "errors", "input_tokens", "output_tokens", "cost_nanos")


def _rebuilt(table: str, counted: str) -> str:
    """`counted` is a table with the sums out of the calls."""
    same = " AND ".join(f"all_of_it.{name} = former.{name}" for name in _TOLD)
    sums = ", ".join(f"sum({name}) AS {name}" for name in _TOLD)
    return f"""
        ALTER TABLE {table} RENAME TO former;
        CREATE TABLE {table} (
            bucket TEXT NOT NULL,                -- '2026-11-20T07' or '2026-11-20' (UTC)
            project TEXT NOT NULL, token TEXT NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL,
            user TEXT NOT NULL,                  -- the token's, as its calls name it
            credential TEXT NOT NULL,            -- the name of the provider's key
            {_COLUMNS},
            PRIMARY KEY ({_KEYS})
        ) WITHOUT ROWID;
        CREATE TEMP TABLE whole AS SELECT {_FORMER} FROM (
            SELECT {_FORMER}, {sums} FROM {counted} GROUP BY {_FORMER}
        ) AS all_of_it JOIN former USING ({_FORMER}) WHERE {same};
        CREATE INDEX temp.whole_keys ON whole ({_FORMER});
        INSERT INTO {table} ({_KEYS}, {_NAMES})
            SELECT {_KEYS}, {_NAMES} FROM {counted} WHERE ({_FORMER}) IN (SELECT {_FORMER} FROM whole);
        INSERT INTO {table} ({_KEYS}, {_NAMES})
            SELECT {_FORMER}, '', '', {_NAMES} FROM former
            WHERE ({_FORMER}) NOT IN (SELECT {_FORMER} FROM whole);
        DROP TABLE temp.whole;
        DROP TABLE former;
    """  # noqa: S608 - names of this file


ROLLUPS = f"""
    CREATE TEMP TABLE counted_hour AS
        SELECT strftime('%Y-%m-%dT%H', id / 1000000, 'unixepoch') AS bucket,
            project, token, provider, model, user, credential, {_OF_CALLS}
        FROM requests GROUP BY 1, 2, 3, 4, 5, 6, 7;
    CREATE TEMP TABLE counted_day AS
        SELECT substr(bucket, 1, 10) AS bucket,
            project, token, provider, model, user, credential, {_OF_HOURS}
        FROM counted_hour GROUP BY 1, 2, 3, 4, 5, 6, 7;
    {_rebuilt("usage_hour", "counted_hour")}
    {_rebuilt("usage_day", "counted_day")}
    DROP TABLE temp.counted_hour;
    DROP TABLE temp.counted_day;
"""  # noqa: S608
