// Signs in by keyboard alone, looks at the pages of a reader, changes the password; what is seen as JSON.
// Usage: node accounts.mjs MODULES CHROMIUM URL LINK NAME PASSWORD SCREENSHOTS  (SCREENSHOTS may be empty)
import { createRequire } from "node:module";
import { coloursAlone, flags, look as lookAt, prepare, sizes } from "./look.mjs";

const [modules, executablePath, url, , name, password, screenshots] = process.argv.slice(2);
const require = createRequire(`${modules}/`);
const { chromium } = require("playwright-core");
const browser = await chromium.launch({ executablePath, args: flags });
const seen = { errors: [], violations: [], scrolls: [] };

async function look(page, what, locale) {
  await prepare(page, require);
  for (const [size, viewport] of Object.entries(sizes)) {
    for (const colorScheme of ["light", "dark"]) {
      await page.setViewportSize(viewport);
      await page.emulateMedia({ colorScheme });
      const { violations, scrolls } = await lookAt(page, colorScheme === "dark" ? coloursAlone : {});
      seen.violations.push(...violations.map((one) => `${what} ${size} ${colorScheme} ${one}`));
      if (scrolls) seen.scrolls.push(`${what} ${size}`);
      if (screenshots) await page.screenshot({ path: `${screenshots}/account-${what}-${size}-${colorScheme}-${locale}.png`, fullPage: true });
    }
  }
}

for (const locale of ["en-US", "es-ES"]) {
  const context = await browser.newContext({ locale, bypassCSP: true });
  const page = await context.newPage();
  page.on("pageerror", (error) => seen.errors.push(String(error)));
  await page.goto(`${url}/ui/sign-in`);
  await look(page, "sign-in", locale);
  await page.locator("#name").fill(name);
  await page.locator("#password").fill(password);
  await page.keyboard.press("Enter");
  await page.waitForURL(`${url}/`);
  for (const path of ["/", "/ui/account", "/ui/apps", "/ui/segments", "/ui/shares"]) {
    await page.goto(`${url}${path}`);
    await look(page, path.replaceAll("/", "-"), locale);
  }
  await page.goto(`${url}/ui/apps/new`);
  await look(page, "refused", locale);
  await context.close();
}

// By keyboard alone, without a script.
const context = await browser.newContext({ locale: "en-US", javaScriptEnabled: false });
const page = await context.newPage();
await page.goto(url);
const type = async (text) => { await page.keyboard.press("Tab"); await page.keyboard.type(text); };
await type(name);
await type("wrong password");
await page.keyboard.press("Enter");
await page.getByRole("status").waitFor();
seen.refused = await page.getByRole("status").textContent();
// The wait after a failure is a second; until then the page says so.
do {
  await page.locator("#name").focus();
  await page.keyboard.type(name);
  await type(password);
  const loaded = page.waitForEvent("load");
  await page.keyboard.press("Enter");
  await loaded;
} while (await page.locator("#password").count());
seen.entered = page.url();
await page.getByRole("link", { name }).focus();
await page.keyboard.press("Enter");
await page.waitForURL("**/ui/account");
await page.locator("#present").focus();
await page.keyboard.type(password);
await type("another password");
await type("another password");
await page.keyboard.press("Enter");
await page.locator(".alone").waitFor();
seen.changed = await page.locator("h1").textContent();
await page.getByRole("link").focus();
await page.keyboard.press("Enter");
await page.waitForURL("**/ui/account");
await page.getByRole("button", { name: "Sign out everywhere" }).focus();
await page.keyboard.press("Enter");
await page.locator("#password").waitFor();
await page.goto(url);
seen.out = await page.locator("#password").count();
await browser.close();
console.log(JSON.stringify(seen));
