"""Writes two sessions with pyarrow, as columns of various types: write_parquet.py FILE KIND APP."""

import sys

import pyarrow as pa
import pyarrow.parquet as pq

file, kind, app = sys.argv[1:]
MILLIS = 1_704_110_400_123
ids = pa.array([f"{kind}-1", f"{kind}-2"])
users = pa.array(["u-1", None])
durations = pa.array([12.25, None])

if kind == "native":
    members = {"plan": "pro", "age": 41, "paid": True, "rate": 1.5}
    columns = {
        "session_id": ids.cast(pa.large_string()),
        "when": pa.array([MILLIS * 1000, MILLIS * 1000], pa.timestamp("us", tz="Asia/Kathmandu")),
        "user_id": users.dictionary_encode(),
        "duration": durations.cast(pa.float32()),
        "attributes": pa.array([members, None]),
        "app_id": pa.array([app, app]),
        "other": pa.array([[1], []]),
    }
    pq.write_table(pa.table(columns), file, compression="gzip")
elif kind == "strings":
    columns = {
        "other": pa.array([1, 2]),
        "session_id": ids,
        "when": pa.array(["2024-01-01T12:00:00.123Z", "2024-01-01T13:00:00.123+01:00"]),
        "user_id": users,
        "duration": durations,
        "attributes": pa.array(['{"plan":"pro","age":41}', None]),
        "attributes.paid": pa.array([True, None]),
        "attributes.rate": pa.array([1.5, None]),
    }
    pq.write_table(pa.table(columns), file, compression="zstd", row_group_size=1)
elif kind == "nanoseconds":
    columns = {
        "session_id": ids,
        "when": pa.array([MILLIS * 1_000_000, MILLIS * 1_000_000], pa.timestamp("ns")),
        "user_id": users,
        "duration": durations,
        "attributes.plan": pa.array(["pro", None]),
    }
    pq.write_table(pa.table(columns), file, compression="snappy")
elif kind == "deltas":
    # Many rows, so that each list of deltas has several blocks.
    count = 3_000
    columns = {
        "session_id": pa.array([f"session-{number:05}" for number in range(count)]),
        "when": pa.array([MILLIS + 1_000 * number for number in range(count)], pa.timestamp("ms")),
        "user_id": pa.array([f"u-{number % 7}" if number % 3 else None for number in range(count)]),
    }
    encodings = {"session_id": "DELTA_BYTE_ARRAY", "when": "DELTA_BINARY_PACKED", "user_id": "DELTA_LENGTH_BYTE_ARRAY"}
    for version in ["1.0", "2.0"]:
        pq.write_table(pa.table(columns), f"{file}.{version}", use_dictionary=False, column_encoding=encodings,
                       data_page_version=version)
else:
    columns = {
        "session_id": pa.array(["a", "b", None]),
        "when": pa.array([MILLIS, 0, MILLIS], pa.timestamp("ms")),
    }
    pq.write_table(pa.table(columns), file, compression="none", use_dictionary=False)
