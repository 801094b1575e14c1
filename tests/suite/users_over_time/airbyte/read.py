"""Reads every stream of manifest.yaml with Airbyte's engine: python3 read.py URL KEY FROM TO

Prints how many records each stream has, and the numbers of the series.
"""

import json
import pathlib
import sys

import yaml
from airbyte_cdk.models import (
    ConfiguredAirbyteCatalog,
    ConfiguredAirbyteStream,
    DestinationSyncMode,
    Status,
    SyncMode,
    Type,
)
from airbyte_cdk.sources.declarative.concurrent_declarative_source import ConcurrentDeclarativeSource
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

url, key, start, end = sys.argv[1:]
config = {"url": url + "/", "api_key": key, "start_date": start, "end_date": end}
manifest = yaml.safe_load((pathlib.Path(__file__).parent / "manifest.yaml").read_text())


import logging

logger = logging.getLogger("airbyte")
logger.setLevel(logging.ERROR)


def made(catalog=None):
    return ConcurrentDeclarativeSource(
        catalog=catalog, config=config, state=[], source_config=manifest
    )


checked = made().check(logger, config)
if checked.status != Status.SUCCEEDED:
    sys.exit(f"the check failed: {checked.message}")
streams = made().discover(logger, config).streams
catalog = ConfiguredAirbyteCatalog(streams=[
    ConfiguredAirbyteStream(
        stream=stream, sync_mode=SyncMode.full_refresh, destination_sync_mode=DestinationSyncMode.overwrite
    )
    for stream in streams
])
records = {stream.name: [] for stream in streams}
failures = []
for message in made(catalog).read(logger, config, catalog, []):
    if message.type == Type.RECORD:
        records[message.record.stream].append(message.record.data)
    elif message.type == Type.TRACE and message.trace.error:
        failures.append(message.trace.error.message)
if failures:
    sys.exit(f"streams failed: {failures}")
json.dump(records, sys.stdout)
