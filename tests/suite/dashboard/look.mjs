// What can be said of a page by looking at it, whichever library drives the browser.
import { readFileSync } from "node:fs";

export const sizes = { wide: { width: 1280, height: 900 }, narrow: { width: 390, height: 844 } };
// A theme changes colours alone.
export const coloursAlone = { runOnly: ["color-contrast"] };

// For Chromium as it runs where tests do.
export const flags = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"];

// As people come in: opens the link and presses its button. What they hold then, and where they are.
export async function enter(browser, link) {
  const context = await browser.newContext();
  const door = await context.newPage();
  await door.goto(link);
  await door.getByRole("button").click();
  const entered = { cookies: await context.cookies(), path: new URL(door.url()).pathname };
  await context.close();
  return entered;
}

// Has a page looked at by axe-core, which `require` finds; to be called once it is loaded.
export const prepare = (page, require) => page.evaluate(readFileSync(require.resolve("axe-core/axe.min.js"), "utf8"));

export async function look(page, options = {}) {
  const found = await page.evaluate((options) => window.axe.run(document, { resultTypes: ["violations"], ...options }), options);
  return {
    scrolls: await page.evaluate(() => document.documentElement.scrollWidth > innerWidth),
    drawings: await page.evaluate(() => [...document.querySelectorAll(".chart > svg")].filter((svg) => svg.getBoundingClientRect().width > 0).length),
    violations: found.violations.map((one) => `${one.impact} ${one.id}: ${one.nodes.map((node) => node.html).join(" ").slice(0, 300)}`),
  };
}
