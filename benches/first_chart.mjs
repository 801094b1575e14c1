#!/usr/bin/env node
// How long a browser waits for the first chart: from the navigation to the first frame in which the overview's chart stands.
//
//     npm install --prefix target/first-chart playwright-core
//     cargo build --release
//     node benches/first_chart.mjs target/release/sessionmeter
//
// Makes SESSIONS (5 million) sessions of a fifth as many users over 400 days and three apps, and opens the overview ROUNDS (20) times: with an
// empty cache, as a newcomer, and with a filled one. The server and the browser share the machine's loopback. CHROMIUM names
// the browser; `clickhouse://…` as the last argument another store, which must be empty.
import { spawn, spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { createInterface } from "node:readline";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const [binary, store] = process.argv.slice(2);
const { chromium } = createRequire(`${resolve("target/first-chart")}/`)("playwright-core");
const SESSIONS = Number(process.env.SESSIONS ?? 5_000_000);
const ROUNDS = Number(process.env.ROUNDS ?? 20);
const DAYS = 400;
const DAY = 86_400;
const APPS = [1, 2, 3].map((nth) => `6f2a1c3e-0b5d-4f0e-9d5a-1c2b3a4d5e0${nth}`);
const COUNTRIES = ["BR", "US", "DE", "MX", "FR", "IN", "JP", "GB"];
const PLATFORMS = ["ios", "android", "web"];

const place = mkdtempSync(join(tmpdir(), "first-chart-"));
const data = store ?? join(place, "data");

function run(...words) {
  const done = spawnSync(binary, ["--store", data, ...words, "--json"], { encoding: "utf8" });
  if (done.status !== 0) throw new Error(`${words.join(" ")}: ${done.stderr}`);
  return done.stdout.trim() && JSON.parse(done.stdout);
}

function writeSessions(path) {
  const file = openSync(path, "w");
  const first = Math.floor(Date.now() / 1000 / DAY) - DAYS;
  let lines = "app_id,session_id,started_at,user_id,country,platform\n";
  // mulberry32: small, seeded, and good enough to spread users.
  let seed = 5;
  const below = (limit) => {
    seed = (seed + 0x6d2b79f5) | 0;
    let drawn = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    drawn = (drawn + Math.imul(drawn ^ (drawn >>> 7), 61 | drawn)) ^ drawn;
    return Math.floor((((drawn ^ (drawn >>> 14)) >>> 0) / 2 ** 32) * limit);
  };
  for (let nth = 0; nth < SESSIONS; nth++) {
    const user = below(Math.max(1, Math.floor(SESSIONS / 5)));
    const at = (first + Math.floor((nth * DAYS) / SESSIONS)) * DAY + below(DAY);
    lines += `${APPS[user % 3]},s${nth},${at},u${user},${COUNTRIES[user % 8]},${PLATFORMS[user % 3]}\n`;
    if (lines.length > 1_000_000) (writeSync(file, lines), (lines = ""));
  }
  writeSync(file, lines);
  closeSync(file);
}

/// Notes the first frame in which the chart has a height, and the frame after that, which shows it.
function watch() {
  const look = () => {
    const drawings = [...document.querySelectorAll(".chart > svg")];
    if (drawings.some((svg) => svg.getBoundingClientRect().height > 0)) {
      requestAnimationFrame(() => (window.shown = performance.now()));
    } else {
      requestAnimationFrame(look);
    }
  };
  requestAnimationFrame(look);
}

const sorted = (numbers) => numbers.toSorted((one, two) => one - two);
const told = (numbers) => {
  const all = sorted(numbers);
  return `median ${all[Math.floor(all.length / 2)].toFixed(0)} ms, longest ${all.at(-1).toFixed(0)} ms`;
};

let server, browser;
try {
  run("workspace", "create", "bench");
  APPS.forEach((id, nth) => run("app", "create", `App ${nth + 1}`, "--workspace", "bench", "--id", id, "--platform", PLATFORMS[nth]));
  const file = join(place, "sessions.csv");
  writeSessions(file);
  run("import", file, "--workspace", "bench");
  server = spawn(binary, ["--store", data, "serve", "--listen", "127.0.0.1:0", "--ops-listen", "off", "--json"], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  const lines = createInterface({ input: server.stdout });
  const line = await new Promise((read) => lines.once("line", read));
  const url = `http://${JSON.parse(line).listen}`;
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"],
  });
  const door = await browser.newContext();
  const page = await door.newPage();
  const link = new URL(run("dashboard", "link").url);
  await page.goto(`${url}${link.pathname}${link.search}`);
  await page.getByRole("button").click();
  const cookies = await door.cookies();
  await door.close();

  async function open(page, path) {
    await page.goto(`${url}${path}`);
    await page.waitForFunction(() => window.shown);
    const [shown, answered] = await page.evaluate(() => [window.shown, performance.getEntriesByType("navigation")[0].responseEnd]);
    return { shown, answered };
  }
  for (const path of ["/?workspace=bench", "/?workspace=bench&unit=hour&group_by=country&split=1"]) {
    const first = [], again = [], answers = [];
    for (let round = 0; round < ROUNDS; round++) {
      const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
      await context.addCookies(cookies);
      await context.addInitScript(watch);
      const page = await context.newPage();
      first.push((await open(page, path)).shown);
      const second = await open(page, path);
      again.push(second.shown);
      answers.push(second.answered);
      await context.close();
    }
    console.log(`${path}, first chart with an empty cache: ${told(first)} (the very first: ${first[0].toFixed(0)} ms)`);
    console.log(`${path}, with a filled one: ${told(again)}; of which until the page was there: ${told(answers)}`);
  }
} finally {
  await browser?.close();
  server?.kill();
  rmSync(place, { recursive: true });
}
