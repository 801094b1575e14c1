// Drives a real browser for the tests: one JSON command a line on standard input, one JSON answer a line on standard
// output. Pages come from a server of their own, so that the product is another origin, under a strict
// Content-Security-Policy. Usage: node driver.mjs PRODUCT CHROMIUM MODULES SENTRY-BUNDLE
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { createRequire } from "node:module";

const [product, chromium, modules, bundle] = process.argv.slice(2);
const { chromium: playwright } = createRequire(`${modules}/`)("playwright-core");

const pages = createServer((request, response) => {
  const { pathname, searchParams } = new URL(request.url, "http://localhost");
  if (pathname === "/bundle.js") {
    response.writeHead(200, { "content-type": "text/javascript" });
    return response.end(readFileSync(bundle));
  }
  if (pathname === "/elsewhere") {
    response.writeHead(200, { "content-type": "text/html; charset=utf-8" });
    return response.end('<!doctype html><html lang="en"><title>Elsewhere</title></html>');
  }
  // A page of the test's own.
  if (pathname === "/page") {
    const sources = `${product} 'unsafe-inline'`;
    response.writeHead(200, {
      "content-type": "text/html; charset=utf-8",
      "content-security-policy": `default-src 'none'; script-src ${sources}; connect-src ${product}; frame-src 'self'`,
    });
    return response.end(`<!doctype html><html lang="en"><title>Page</title>${searchParams.get("html")}</html>`);
  }
  const [script, source] =
    pathname === "/sentry" ? ["/bundle.js", "'self'"] : [`${product}/session.js`, product];
  const attributes = [...searchParams].map(([name, value]) => `data-${name}="${value}"`).join(" ");
  response.writeHead(200, {
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": `default-src 'none'; script-src ${source}; connect-src ${product}`,
  });
  response.end(
    `<!doctype html><html lang="en"><title>Page</title><script src="${script}" ${attributes}></script>` +
      "<p>Some text.</p><button>Go on</button></html>",
  );
});
await new Promise((listening) => pages.listen(0, "127.0.0.1", listening));
const origin = `http://127.0.0.1:${pages.address().port}`;

const browser = await playwright.launch({
  executablePath: chromium,
  args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"],
});
const context = await browser.newContext({ locale: "pt-BR" });
await context.clock.install();
const open = new Map();
const errors = [];
const said = [];
const happened = [];

const commands = {
  // Before any page: asks not to be tracked.
  async doNotTrack() {
    await context.addInitScript(() => Object.defineProperty(navigator, "doNotTrack", { value: "1" }));
  },
  // Opens a tab; `options` become data attributes of the page's script. `before` runs before any script of its pages.
  async open({ tab, path, options, before }) {
    const page = await context.newPage();
    if (before) await page.addInitScript(before);
    page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
    page.on("console", (message) => said.push(message.text()));
    page.on("pageerror", (error) => errors.push(String(error)));
    page.on("requestfailed", (request) => happened.push(`${request.url()}: ${request.failure().errorText}`));
    page.on("response", (response) => happened.push(`${response.url()}: ${response.status()}`));
    open.set(tab, page);
    await page.goto(`${origin}${path}?${new URLSearchParams(options)}`);
  },
  async reload({ tab }) {
    await open.get(tab).reload();
  },
  // As when somebody follows a link to a page that reports nothing. Of the same site: a busy browser gives the process of
  // another site's page half a second to send what is left, and ends it.
  async leave({ tab }) {
    await open.get(tab).goto(`${origin}/elsewhere`);
  },
  async click({ tab }) {
    await open.get(tab).getByRole("button").click();
  },
  // The browser's clock jumps; timers that were due fire.
  async pass({ seconds }) {
    await context.clock.fastForward(seconds * 1000);
  },
  async offline({ on }) {
    await context.setOffline(on);
  },
  async evaluate({ tab, expression }) {
    return open.get(tab).evaluate(expression);
  },
  // All requests, and what became of them.
  async happened() {
    return happened;
  },
  async errors() {
    return errors;
  },
  // What the pages wrote to the console since this was last asked.
  async said() {
    return said.splice(0);
  },
  async close({ tab }) {
    await open.get(tab).close();
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { command, ...parameters } = JSON.parse(line);
  let answer;
  try {
    answer = { value: (await commands[command](parameters)) ?? null };
  } catch (error) {
    answer = { error: String(error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
await browser.close();
process.exit(0);
