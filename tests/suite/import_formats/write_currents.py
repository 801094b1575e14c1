"""Writes session events as Braze's Currents documents them: write_currents.py FILE CODEC KIND EVENTS-AS-JSON.

KIND: start, end, old-start (the fields of years ago, all required), generic (one schema for both, no telling name), or a
key of KINDS.
"""

import json
import sys

import fastavro

file, codec, kind, events = sys.argv[1:]

OPTIONAL_TEXT = ["null", "string"]
START = {
    "id": "string",
    "time": "int",
    "user_id": "string",
    "external_user_id": OPTIONAL_TEXT,
    "app_group_id": OPTIONAL_TEXT,
    "app_id": "string",
    "device_id": OPTIONAL_TEXT,
    "device_model": OPTIONAL_TEXT,
    "os_version": OPTIONAL_TEXT,
    "platform": OPTIONAL_TEXT,
    "session_id": "string",
    "extras": ["null", {"type": "map", "values": ["null", "double", {"type": "array", "items": "bytes"}]}],
}
OLD = {name: "string" for name in ["user_id", "external_user_id", "session_id", "platform"]} | {"time": "long"}
TEXT_APP = {"app_id": OPTIONAL_TEXT}
KINDS = {
    "start": ("users.behaviors.app", "SessionStart", START),
    "end": ("users.behaviors.app", "SessionEnd", START | {"duration": ["null", "float"]}),
    "old-start": (None, "users_behaviors_app_SessionStart", OLD),
    "generic": (None, "topLevelRecord", START | TEXT_APP | {"time": "double", "duration": ["null", "double"]}),
    "email": ("users.messages.email", "Open", START),
    "prefixed-start": ("com.example.currents.users.behaviors.app", "SessionStart", START),
    "prefixed-custom": ("com.example.currents.users.behaviors", "CustomEvent", START | {"name": "string"}),
    "custom": (None, "users_behaviors_CustomEvent", START),
}
namespace, name, fields = KINDS[kind]
schema = {"type": "record", "name": name, "fields": [{"name": n, "type": t} for n, t in fields.items()]}
if namespace:
    schema["namespace"] = namespace

records = []
for number, event in enumerate(json.loads(events)):
    record = {"id": f"event-{number}", "user_id": "", "time": 0, "session_id": "", "app_id": "", "platform": ""}
    record |= {"external_user_id": "", "name": "", "extras": {"a": 1.5, "b": [b"x", b"y"]}}
    records.append({n: v for n, v in (record | event).items() if n in fields})
with open(file, "wb") as out:
    # Small blocks, so that a damage costs only some records.
    fastavro.writer(out, fastavro.parse_schema(schema), records, codec=codec, sync_interval=2000)
