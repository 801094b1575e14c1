"""Prints what DuckDB finds in an export: read_parquet.py FILE."""

import json
import sys

import duckdb

duckdb.sql("SET TimeZone = 'UTC'")
duckdb.sql(f"CREATE VIEW sessions AS SELECT * FROM '{sys.argv[1]}'")
query = """
    SELECT count(*), count(DISTINCT user_id), epoch_ms(min(started_at)), epoch_ms(max(started_at)), sum(duration),
        count(*) FILTER (json_extract(attributes, '$.a')::INT = 1), list(DISTINCT app_id)
    FROM sessions
"""
sessions, users, first, last, seconds, with_attributes, apps = duckdb.execute(query).fetchone()


def utc(millis):
    from datetime import datetime, timezone

    return datetime.fromtimestamp(millis / 1000, timezone.utc).isoformat()


found = {"sessions": sessions, "users": users, "first": utc(first), "last": utc(last), "seconds": round(seconds)}
print(json.dumps(found | {"with_attributes": with_attributes, "apps": apps}))
