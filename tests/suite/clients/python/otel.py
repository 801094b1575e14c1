"""Usage: otel.py json|proto URL APP-ID. Starts a session and ends it, in two exports."""

import importlib
import sys

from opentelemetry._logs import LogRecord
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource

kind, url, app = sys.argv[1:]
http = f"opentelemetry.exporter.otlp.{kind}.http"
OTLPLogExporter = importlib.import_module(f"{http}._log_exporter").OTLPLogExporter
Compression = importlib.import_module(f"{http}._log_exporter").Compression
NOON = 1704110400 * 10**9
resource = Resource.create({"service.version": "4.10.0", "os.name": "Linux", "sessionmeter.app.id": app})
provider = LoggerProvider(resource=resource)
exporter = OTLPLogExporter(endpoint=f"{url}/v1/logs", compression=Compression("gzip"))
provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
logger = provider.get_logger("test")


def emit(event_name, seconds, **attributes):
    attributes = {name.replace("_", "."): value for name, value in attributes.items()}
    logger.emit(LogRecord(timestamp=NOON + seconds * 10**9, event_name=event_name, attributes=attributes))


emit("session.start", 0, session_id="python", user_id="u1", plan="pro")
emit("click", 1, session_id="python")
provider.force_flush()
emit("session.end", 90, session_id="python")
provider.shutdown()
