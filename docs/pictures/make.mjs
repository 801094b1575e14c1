// Pictures of the demo's overview, light and dark. Usage: node make.mjs MODULES CHROMIUM ANNOUNCEMENT FOLDER
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [modules, executablePath, announcement, folder] = process.argv.slice(2);
const { chromium } = createRequire(`${modules}/`)("playwright-core");
const { dashboard } = JSON.parse(readFileSync(announcement, "utf8"));
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
for (const colorScheme of ["light", "dark"]) {
  const viewport = { width: 1160, height: 860 };
  const page = await browser.newPage({ viewport, colorScheme, locale: "en-US" });
  await page.goto(`${dashboard}/?split=1`, { waitUntil: "networkidle" });
  await page.screenshot({ path: `${folder}/overview-${colorScheme}.png` });
  await page.close();
}
await browser.close();
