// Waits for the first session on an empty server's page, then makes a key with the keyboard alone; what is seen as JSON.
// Usage: node start.mjs MODULES CHROMIUM URL LINK APP UNKNOWN-APP
import { createRequire } from "node:module";
import { flags } from "./look.mjs";

const [modules, executablePath, url, link, app, unknown] = process.argv.slice(2);
const { chromium } = createRequire(`${modules}/`)("playwright-core");
const browser = await chromium.launch({ executablePath, args: flags });
const context = await browser.newContext({ locale: "en-US", permissions: ["clipboard-read", "clipboard-write"] });
const page = await context.newPage();
const seen = { errors: [] };
page.on("console", (message) => message.type() === "error" && seen.errors.push(message.text()));
page.on("pageerror", (error) => seen.errors.push(String(error)));
await page.goto(link);
await page.getByRole("button").click();

// What comes meanwhile is seen without loading the page again.
const collect = (app_id) =>
  fetch(`${url}/sessions/collect`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ app_id, sessions: [{ session_id: "first", started_at: Date.now() }] }),
  });
await page.evaluate(() => (window.stays = true));
seen.waiting = await page.locator(".now").textContent();
await collect(unknown);
await page.locator(".lines li").first().waitFor();
seen.refused = await page.locator(".lines li").first().textContent();
await collect(app);
await page.locator("[data-done]").waitFor();
seen.arrived = await page.locator(".now").textContent();
if (!(await page.evaluate(() => window.stays))) seen.errors.push("the page was loaded again");
await page.locator("[data-done]").click();
seen.overview = await page.locator(".tile .figure").first().textContent();

// Forms without a mouse.
await page.goto(`${url}/ui/keys/new`);
await page.locator("#name").focus();
await page.keyboard.type("by keyboard");
await page.keyboard.press("Tab");
await page.keyboard.press("Space");
for (const _ of Array(13)) await page.keyboard.press("Tab");
await page.keyboard.type("127.0.0.1");
await page.keyboard.press("Tab");
await page.keyboard.press("Enter");
await page.locator(".notice code").first().waitFor();
seen.key = await page.locator(".notice code").first().textContent();
await page.locator(".notice button").first().focus();
await page.keyboard.press("Enter");
await page.locator(".notice button", { hasText: "Copied" }).waitFor();
seen.copied = await page.evaluate(() => navigator.clipboard.readText());
// Loading the answer again sends the form again, which is refused: a status that a browser notes.
const errors = [...seen.errors];
const shows = async () => (await page.content()).includes(seen.key);
await page.reload();
seen.refused_again = await page.locator(".error").textContent();
seen.again = await shows();
await page.goto(`${url}/ui/apps`);
seen.again ||= await shows();
seen.errors = errors;
await browser.close();
console.log(JSON.stringify(seen));
