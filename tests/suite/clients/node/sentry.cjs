// Usage: node sentry.cjs application|request DSN. Lets the SDK track the session of the process, or those of three
// requests to a server.
const Sentry = require('@sentry/node');

const [, , mode, dsn] = process.argv;
Sentry.init({ dsn, release: 'shop@1.2.3+456', environment: 'test' });

async function requests() {
  const http = require('node:http');
  const server = http.createServer((request, response) => response.end('hello'));
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  for (let number = 0; number < 3; number += 1) {
    await fetch(`http://127.0.0.1:${server.address().port}/`).then((response) => response.text());
  }
  await new Promise((done) => server.close(done));
  await Sentry.flush();
}

if (mode === 'request') {
  requests();
}
