// What Firefox sees, in two themes, two languages and two widths, and what it does by keyboard; as JSON.
// Usage: node firefox.mjs MODULES FIREFOX URL LINK-1 LINK-2 SCREENSHOTS PATH…  (SCREENSHOTS may be empty)
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { look, prepare, sizes } from "./look.mjs";

const [modules, executablePath, url, light, dark, screenshots, ...paths] = process.argv.slice(2);
const require = createRequire(`${modules}/`);
const puppeteer = require("puppeteer-core");
const downloads = mkdtempSync(join(tmpdir(), "firefox-"));
const seen = { looks: [], errors: [] };

// Language and theme are the browser's own settings: a Firefox for each.
for (const [locale, theme, link] of [["en-US", "light", light], ["es-ES", "dark", dark]]) {
  const browser = await puppeteer.launch({
    browser: "firefox",
    executablePath,
    extraPrefsFirefox: {
      "intl.accept_languages": locale,
      "layout.css.prefers-color-scheme.content-override": theme === "dark" ? 0 : 1,
      "dom.events.testing.asyncClipboard": true,
      // The panel would take the keys that are meant for the page.
      "browser.download.alwaysOpenPanel": false,
      "browser.download.folderList": 2,
      "browser.download.dir": downloads,
    },
  });
  const page = await browser.newPage();
  const asked = [];
  page.on("request", (request) => asked.push(request.url()));
  page.on("pageerror", (error) => seen.errors.push(String(error)));
  await page.evaluateOnNewDocument(() => {
    window.refused = [];
    addEventListener("securitypolicyviolation", (event) => window.refused.push(`${event.violatedDirective} ${event.blockedURI}`));
  });
  // As people come in: open the link, press the button.
  await page.goto(link);
  await Promise.all([page.waitForNavigation(), page.click("button")]);
  for (const [number, path] of paths.entries()) {
    await page.goto(`${url}${path}`);
    seen.errors.push(...(await page.evaluate(() => window.refused)).map((refused) => `${path}: ${refused}`));
    await prepare(page, require);
    for (const [size, viewport] of Object.entries(sizes)) {
      await page.setViewport(viewport);
      seen.looks.push({
        name: `${number}-${size}-${theme}-${locale}`,
        language: await page.evaluate(() => document.documentElement.lang),
        paper: await page.evaluate(() => getComputedStyle(document.body).backgroundColor),
        ...(await look(page)),
      });
      if (screenshots) await page.screenshot({ path: `${screenshots}/firefox-${number}-${size}-${theme}-${locale}.png`, fullPage: true });
    }
    await page.setViewport(sizes.wide);
  }
  seen.elsewhere = asked.filter((asked) => !asked.startsWith(url));
  if (theme === "light") await byKeyboard(page);
  await browser.close();
}

async function byKeyboard(page) {
  const text = (selector) => page.$eval(selector, (element) => element.textContent);
  const press = (...keys) => keys.reduce((before, key) => before.then(() => page.keyboard.press(key)), Promise.resolve());
  const focus = (kind, words) =>
    page.evaluate((kind, words) => [...document.querySelectorAll(kind)].find((one) => one.textContent.includes(words)).focus(), kind, words);
  await page.goto(url);
  await page.focus(".chart");
  await press("ArrowLeft");
  seen.newest = await text("[data-said]");
  await press("Home");
  seen.oldest = await text("[data-said]");
  seen.rows = await page.$$eval("table.units-table tbody th", (rows) => [rows[0], rows.at(-1)].map((row) => row.textContent));

  await focus("summary", "curl");
  await press("Enter");
  await page.focus("button[data-copy]");
  await press("Enter");
  await page.waitForFunction(() => document.querySelector("[data-said]").textContent === document.documentElement.dataset.copied);
  seen.copied = await page.evaluate(() => navigator.clipboard.readText());

  // The picture is drawn by the browser itself; where a browser puts a download is none of the page's business.
  await page.evaluate(() => {
    const make = URL.createObjectURL;
    URL.createObjectURL = (blob) => ((window.saved = blob.type === "image/png" ? blob.size : blob.type), make.call(URL, blob));
  });
  await focus("button", "PNG");
  await press("Enter");
  await page.waitForFunction(() => window.saved);
  seen.png = await page.evaluate(() => window.saved);

  // A segment is counted while it is typed.
  await page.goto(`${url}/ui/segments/new`);
  await page.focus("#name");
  for (const typed of ["By keyboard", "", "country", "", "BR"]) {
    await page.keyboard.type(typed);
    if (typed !== "BR") await press("Tab");
  }
  await page.waitForFunction(() => document.querySelector(".words").textContent === 'country is "BR"');
  seen.counted = await text(".preview .now");
  do await press("Tab");
  while ((await page.evaluate(() => document.activeElement.textContent)) !== "Save");
  await Promise.all([page.waitForNavigation(), press("Enter")]);
  seen.saved = page.url();

  // The way out.
  await focus("button", "Sign out");
  await Promise.all([page.waitForNavigation(), press("Enter")]);
  await page.goto(url);
  seen.out = await text("code");
}

rmSync(downloads, { recursive: true });
console.log(JSON.stringify(seen));
