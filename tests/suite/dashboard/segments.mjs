// Builds a segment with the keyboard, and sees it counted while it is typed; what is seen as JSON.
// Usage: node segments.mjs MODULES CHROMIUM URL LINK
import { createRequire } from "node:module";
import { flags } from "./look.mjs";

const [modules, executablePath, url, link] = process.argv.slice(2);
const { chromium } = createRequire(`${modules}/`)("playwright-core");
const browser = await chromium.launch({ executablePath, args: flags });
const context = await browser.newContext({ locale: "en-US" });
const page = await context.newPage();
const seen = { errors: [], fields: [] };
page.on("console", (message) => message.type() === "error" && seen.errors.push(message.text()));
page.on("pageerror", (error) => seen.errors.push(String(error)));
await page.goto(link);
await page.getByRole("button").click();

await page.goto(`${url}/ui/segments/new`);
await page.evaluate(() => (window.stays = true));
const now = page.locator(".preview .now");
seen.begun = await now.textContent();
await page.locator("#name").focus();
await page.keyboard.type("By keyboard");
// Name, kind of the group, field, operator, value.
for (const text of ["", "country", "", "BR"]) {
  await page.keyboard.press("Tab");
  seen.fields.push(await page.evaluate(() => document.activeElement.name));
  if (text) await page.keyboard.type(text);
}
await page.waitForFunction(() => document.querySelector(".words").textContent === 'country is "BR"');
seen.counted = await now.textContent();
seen.outline = (await page.locator(".preview path").getAttribute("d")).length > 50;
await page.keyboard.press("Backspace");
await page.keyboard.press("Backspace");
await page.keyboard.type("XX");
await page.waitForFunction(() => document.querySelector(".words").textContent === 'country is "XX"');
seen.none = await now.textContent();
if (!(await page.evaluate(() => window.stays))) seen.errors.push("the page was loaded again");
// The Enter key counts: it neither saves what is half done nor removes anything.
await page.keyboard.press("Enter");
await page.waitForFunction(() => !window.stays);
seen.kept = await page.locator("[name='f.0.value']").inputValue();
await page.getByRole("button", { name: "Save" }).focus();
await page.keyboard.press("Enter");
await page.waitForURL(`${url}/ui/segments`);
seen.listed = await page.locator("tbody th").textContent();
await browser.close();
console.log(JSON.stringify(seen));
