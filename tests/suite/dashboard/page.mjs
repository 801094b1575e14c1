// Looks at pages of the dashboard in a browser and says what is seen as JSON.
// Usage: node page.mjs MODULES CHROMIUM URL LINK SCREENSHOTS PATH…  (SCREENSHOTS may be empty)
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { coloursAlone, enter, flags, look, prepare, sizes as common } from "./look.mjs";

const [modules, executablePath, url, link, screenshots, ...paths] = process.argv.slice(2);
const require = createRequire(`${modules}/`);
const { chromium } = require("playwright-core");
const browser = await chromium.launch({ executablePath, args: flags });
const seen = { looks: [] };

const { cookies, path: entered } = await enter(browser, link);
seen.entered = entered;

const sizes = { wide: common.wide, middle: { width: 800, height: 900 }, narrow: common.narrow };
async function open(options, path) {
  const context = await browser.newContext(options);
  await context.addCookies(cookies);
  const page = await context.newPage();
  const errors = [], asked = [], bodies = [];
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("request", (request) => asked.push(request.url()));
  page.on("response", (response) => bodies.push(response.body().then((body) => body.length, () => 0)));
  await page.goto(`${url}${path}`);
  return { context, page, errors, asked, weight: async () => (await Promise.all(bodies)).reduce((sum, bytes) => sum + bytes, 0) };
}

// A page is loaded once for each language; sizes and themes are changed under it, as people change them.
for (const [number, path] of paths.entries()) {
  for (const locale of ["en-US", "es-ES"]) {
    const { context, page, errors, asked, weight } = await open({ viewport: sizes.wide, locale, bypassCSP: true }, path);
    await prepare(page, require);
    for (const [size, viewport] of Object.entries(sizes)) {
      for (const colorScheme of ["light", "dark"]) {
        // Dark in Spanish is looked at in Firefox.
        if ((size === "middle" || locale === "es-ES") && colorScheme === "dark") continue;
        if (size === "middle" && locale === "es-ES") continue;
        const name = `${number}-${size}-${colorScheme}-${locale}`;
        await page.setViewportSize(viewport);
        await page.emulateMedia({ colorScheme });
        seen.looks.push({
          name, errors, asked, weight: await weight(),
          ...(await look(page, colorScheme === "dark" ? coloursAlone : {})),
        });
        if (screenshots) await page.screenshot({ path: `${screenshots}/${name}.png`, fullPage: true });
      }
    }
    await context.close();
  }
}

// Without a script everything that is read is there.
{
  const { context, page } = await open({ viewport: sizes.wide, javaScriptEnabled: false }, paths[0]);
  seen.plain = {
    drawn: await page.locator(".chart > svg.wide .line").count(),
    rows: await page.locator("table.units-table tbody tr").count(),
    hidden: await page.getByRole("button", { name: "PNG" }).count(),
  };
  await page.locator(".shares a").first().click();
  seen.plain.row = new URL(page.url()).search.startsWith("?app_id=");
  await page.getByRole("link", { name: "Hour", exact: true }).click();
  seen.plain.unit = new URL(page.url()).searchParams.get("unit");
  await context.close();
}

// By keyboard alone, under the page's own policy.
{
  const { context, page, errors } = await open({ viewport: sizes.wide, acceptDownloads: true, permissions: ["clipboard-read", "clipboard-write"] }, paths[0]);
  const said = () => page.locator("[data-said]").textContent();
  await page.locator(".chart").focus();
  await page.keyboard.press("ArrowLeft");
  const newest = await said();
  await page.keyboard.press("ArrowLeft");
  const before = await said();
  await page.keyboard.press("Home");
  const oldest = await said();
  const tip = await page.locator(".tip").isVisible();
  await page.keyboard.press("Escape");
  const row = (nth) => page.locator("table.units-table tbody tr").nth(nth).locator("th").textContent();
  const rows = await page.locator("table.units-table tbody tr").count();
  const download = page.waitForEvent("download");
  await page.getByRole("button", { name: "PNG" }).click();
  const png = readFileSync(await (await download).path());
  await page.locator("summary", { hasText: "curl" }).click();
  await page.locator("button[data-copy]").click();
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  seen.keyboard = {
    // Before it is left: without a session the page is a refusal, which a browser notes.
    newest, before, oldest, tip, errors: [...errors],
    gone: !(await page.locator(".tip").isVisible()),
    rows: [await row(0), await row(1), await row(rows - 1)],
    png: [png.subarray(1, 4).toString(), png.readUInt32BE(16), png.length > 10_000],
    copied,
  };
  // The form asks by its address.
  await page.locator("select[name=length]").selectOption("7");
  await page.getByRole("button", { name: "Show" }).click();
  await page.waitForURL((there) => there.search !== "");
  seen.keyboard.address = page.url();
  // The way out.
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.goto(url);
  seen.keyboard.out = await page.locator("code").textContent();
  await context.close();
}

await browser.close();
console.log(JSON.stringify(seen));
