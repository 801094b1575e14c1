// Usage: node workers.cjs DSN NUMBER. That many processes serve one request each and report what they counted at once.
const cluster = require('node:cluster');
const http = require('node:http');

const [, , dsn, number] = process.argv;

async function work() {
  const Sentry = require('@sentry/node');
  Sentry.init({ dsn, release: 'shop@1.2.3+456', environment: 'test' });
  const server = http.createServer((request, response) => response.end('hello'));
  // A port of its own: by default a cluster's processes share one.
  await new Promise((done) => server.listen({ port: 0, host: '127.0.0.1', exclusive: true }, done));
  await fetch(`http://127.0.0.1:${server.address().port}/`).then((response) => response.text());
  await new Promise((done) => server.close(done));
  // All of them at one time.
  process.send('counted');
  await new Promise((all) => process.once('message', all));
  await Sentry.flush();
  process.disconnect();
}

if (cluster.isPrimary) {
  let counted = 0;
  cluster.on('message', () => {
    counted += 1;
    if (counted === Number(number)) {
      Object.values(cluster.workers).forEach((worker) => worker.send('report'));
    }
  });
  cluster.on('exit', (worker, code) => {
    process.exitCode ||= code;
  });
  for (let started = 0; started < Number(number); started += 1) cluster.fork();
} else {
  work();
}
