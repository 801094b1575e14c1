// Usage: node otel.cjs http|proto URL APP-ID. Starts two sessions, the second of which ends the first, and ends it.
const { LoggerProvider, BatchLogRecordProcessor } = require('@opentelemetry/sdk-logs');
const { resourceFromAttributes } = require('@opentelemetry/resources');

const [, , kind, url, app] = process.argv;
const { OTLPLogExporter } = require(`@opentelemetry/exporter-logs-otlp-${kind}`);
const exporter = new OTLPLogExporter({
  url: `${url}/v1/logs`,
  headers: { 'sessionmeter-app': app },
  compression: kind === 'proto' ? 'gzip' : 'none',
});
const provider = new LoggerProvider({
  resource: resourceFromAttributes({ 'service.name': 'shop', 'service.version': '4.10.0', 'os.type': 'linux' }),
  processors: [new BatchLogRecordProcessor({ exporter })],
});
const logger = provider.getLogger('test');
const noon = Date.UTC(2024, 0, 1, 12);
const emit = (eventName, seconds, attributes) =>
  logger.emit({ eventName, timestamp: noon + seconds * 1000, attributes });

(async () => {
  emit('session.start', 0, { 'session.id': `${kind}-1`, 'user.id': 'u1', plan: 'pro', seats: 3 });
  logger.emit({ body: 'an ordinary line', timestamp: noon });
  emit('session.start', 60, { 'session.id': `${kind}-2`, 'session.previous_id': `${kind}-1` });
  await provider.forceFlush();
  emit('session.end', 90, { 'session.id': `${kind}-2` });
  await provider.shutdown();
})();
