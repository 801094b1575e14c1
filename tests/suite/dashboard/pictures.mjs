// Compares pages with kept pictures of them, a quarter as large, and says what share of each picture is different as JSON.
// Usage: node pictures.mjs MODULES CHROMIUM URL LINK KEPT UPDATE NAME PATH…  (UPDATE, if not empty, keeps what is seen now)
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { enter, flags, sizes } from "./look.mjs";

const [modules, executablePath, url, link, kept, update, ...pages] = process.argv.slice(2);
const require = createRequire(`${modules}/`);
const { chromium } = require("playwright-core");
const browser = await chromium.launch({ executablePath, args: flags });
const { cookies } = await enter(browser, link);

// Machines have other fonts; here all have this one.
const face = (weight) => {
  const file = readFileSync(require.resolve(`@fontsource/roboto/files/roboto-latin-${weight}-normal.woff2`), "base64");
  return `@font-face { font-family: Kept; font-weight: ${weight}; src: url(data:font/woff2;base64,${file}); }`;
};
const font = `${face(400)} ${face(700)} * { font-family: Kept !important; }`;

// A page that draws pictures.
const desk = await (await browser.newContext()).newPage();
await desk.evaluate(() => {
  window.drawn = async (png, scale) => {
    const image = new Image();
    image.src = `data:image/png;base64,${png}`;
    await image.decode();
    const canvas = document.createElement("canvas");
    canvas.width = image.width * scale, canvas.height = image.height * scale;
    const context = canvas.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(image, 0, 0, canvas.width, canvas.height);
    return canvas;
  };
});
// Pictures are made smaller, so that the edges of letters, which each machine draws in its own way, are of no weight.
const smaller = (png) => desk.evaluate(async (png) => {
  const canvas = await window.drawn(png, 1 / 4);
  return canvas.toDataURL("image/png").split(",")[1];
}, png.toString("base64"));
// Points that differ by more than an eighth of a colour's range; all, where the sizes are not the same.
const difference = (one, other) => desk.evaluate(async (both) => {
  const [one, other] = await Promise.all(both.map((png) => window.drawn(png, 1)));
  if (one.width !== other.width || one.height !== other.height) return 1;
  const points = (canvas) => canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  const [a, b] = [points(one), points(other)];
  let different = 0;
  for (let at = 0; at < a.length; at += 4) {
    different += [0, 1, 2].some((channel) => Math.abs(a[at + channel] - b[at + channel]) > 32) ? 1 : 0;
  }
  return (different * 4) / a.length;
}, [one, other]);

const seen = {}, pictures = {};
for (let nth = 0; nth < pages.length; nth += 2) {
  for (const locale of ["en-US", "es-ES"]) {
    const context = await browser.newContext({ viewport: sizes.wide, locale, reducedMotion: "reduce", bypassCSP: true });
    await context.addCookies(cookies);
    const page = await context.newPage();
    await page.goto(`${url}${pages[nth + 1]}`);
    await page.addStyleTag({ content: font });
    await page.evaluate(() => Promise.all([document.fonts.load("1em Kept"), document.fonts.load("bold 1em Kept")]));
    for (const size of ["wide", "narrow"]) {
      await page.setViewportSize(sizes[size]);
      for (const colorScheme of ["light", "dark"]) {
        await page.emulateMedia({ colorScheme });
        const name = `${pages[nth]}-${size}-${colorScheme}-${locale.slice(0, 2)}`;
        pictures[name] = await smaller(await page.screenshot());
        const file = `${kept}/${name}.png`;
        if (update) writeFileSync(file, Buffer.from(pictures[name], "base64"));
        seen[name] = existsSync(file) ? await difference(pictures[name], readFileSync(file, "base64")) : 1;
      }
    }
    await context.close();
  }
}
// What the comparison must not pass: another theme, another language, and another page.
const names = Object.keys(pictures);
const themes = { light: "dark", dark: "light" }, languages = { en: "es", es: "en" };
const least = { themes: 1, languages: 1, pages: 1 };
for (const [nth, name] of names.entries()) {
  const others = {
    themes: name.replace(/light|dark/, (theme) => themes[theme]),
    languages: name.replace(/en$|es$/, (language) => languages[language]),
    pages: names[(nth + 8) % names.length],
  };
  for (const [what, other] of Object.entries(others)) {
    least[what] = Math.min(least[what], await difference(pictures[name], pictures[other]));
  }
}
await browser.close();
console.log(JSON.stringify({ seen, least }));
