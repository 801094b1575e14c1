// Looks at the reference page in a browser and says what is seen as JSON. Usage: node page.mjs MODULES CHROMIUM URL [SCREENSHOTS]
import { createRequire } from "node:module";
import { flags } from "../dashboard/look.mjs";

const [modules, executablePath, url, screenshots] = process.argv.slice(2);
const { chromium } = createRequire(`${modules}/`)("playwright-core");
const browser = await chromium.launch({ executablePath, args: flags });
const seen = {};

async function look(name, options, steps) {
  const context = await browser.newContext({ permissions: ["clipboard-read", "clipboard-write"], ...options });
  const page = await context.newPage();
  const errors = [], asked = [];
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("request", (request) => asked.push(request.url()));
  await page.goto(url);
  const place = (selector) => page.locator(selector).evaluate((element) => element.getBoundingClientRect().toJSON());
  seen[name] = { ...(await steps(page, place)), errors, asked };
  if (screenshots) await page.screenshot({ path: `${screenshots}/${name}.png` });
  await context.close();
}

await look("wide", { viewport: { width: 1300, height: 900 } }, async (page, place) => {
  const focused = () =>
    page.evaluate(() => document.activeElement.getAttribute("aria-label") ?? document.activeElement.textContent);
  // By keyboard alone: along the page to the first button, and press it.
  const order = [];
  for (let step = 0; step < 3; step += 1) {
    await page.keyboard.press("Tab");
    order.push(await focused());
  }
  const ring = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
  // What is said stands there for two seconds only.
  const heard = page.evaluate(
    () =>
      new Promise((done) => {
        const said = document.getElementById("said");
        const look = () => done([said.textContent, document.querySelector("button").textContent]);
        new MutationObserver(look).observe(said, { childList: true });
      }),
  );
  await page.keyboard.press("Enter");
  const [said, button] = await heard;
  return {
    order,
    ring,
    said,
    button,
    copied: await page.evaluate(() => navigator.clipboard.readText()),
    document: await page.locator("nav a").last().evaluate((link) => link.href),
    beside: (await place("nav")).top < 200,
    scrolls: await page.evaluate(() => document.documentElement.scrollWidth > innerWidth),
  };
});
await look("dark", { viewport: { width: 1300, height: 900 }, colorScheme: "dark" }, async (page) => ({
  paper: await page.evaluate(() => getComputedStyle(document.body).backgroundColor),
}));
await look("phone", { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true }, async (page, place) => {
  const first = await place("h1"), list = await place("nav");
  await page.locator("header a").tap();
  return {
    contentFirst: first.bottom < list.top,
    scrolls: await page.evaluate(() => document.documentElement.scrollWidth > innerWidth),
    jumps: (await place("nav")).top < 740,
  };
});
await look("without a script", { viewport: { width: 1300, height: 900 }, javaScriptEnabled: false }, async (page) => ({
  command: await page.locator("pre.command").first().textContent(),
  buttons: await page.locator("button").count(),
}));
await browser.close();
console.log(JSON.stringify(seen));
