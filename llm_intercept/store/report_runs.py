"""What a program took that was started by `run` or `record`: the calls of the token made for it.

A call with a project token of its own counts for that one; the token of the run stands in its tunnel only,
which the row's `changes` name.
"""

import sqlite3

import orjson

from llm_intercept.policy.tokens import brought_by
from llm_intercept.store.report_terms import MEASURES
from llm_intercept.store.reports import Summary

_COUNTED = ("requests", "errors", "unpriced", "input_tokens", "output_tokens", "cost_nanos", "cache_hits")
_SUMS = ", ".join(f"coalesce(sum({MEASURES[name]}), 0)" for name in _COUNTED)


def taken(conn: sqlite3.Connection, since_us: int, project: str, token: str) -> Summary:
    """The totals since then, without latencies."""
    named = orjson.dumps(brought_by(project, token)).decode()
    statement = f"""SELECT {_SUMS} FROM requests
        WHERE id >= ? AND ((project = ? AND token = ?) OR (changes <> '' AND instr(changes, ?)))"""  # noqa: S608
    row = conn.execute(statement, (since_us, project, token, named)).fetchone()
    return Summary(**dict(zip(_COUNTED, row, strict=True)))
