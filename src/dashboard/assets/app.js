// What pages do with a script that they can also be read without: charts are read with the pointer and the arrow keys,
// texts are copied, the chart becomes a PNG, the live figure is kept up to date. Dates and numbers are the server's.
const texts = document.documentElement.dataset;
const say = (text) => {
  const said = document.querySelector("[data-said]");
  if (said) said.textContent = text;
};

function chart(box) {
  const tip = box.querySelector(".tip");
  const table = document.querySelector("table.units-table");
  if (!table) return;
  const heads = [...table.tHead.rows[0].cells].map((cell) => cell.textContent);
  const rows = new Map([...table.tBodies[0].rows].map((row) => [Number(row.dataset.unit), row]));
  const last = rows.size - 1;
  let at = null;
  const drawing = () => [...box.querySelectorAll("svg")].find((svg) => svg.getBoundingClientRect().width > 0);

  // A row of the table as a sentence; the day of the period before stands behind its number.
  function words(row) {
    const cells = [...row.cells].map((cell) => cell.textContent.trim());
    const parts = [];
    for (let cell = 1; cell < cells.length; cell += 1) {
      if (!cells[cell]) continue;
      if (row.cells[cell].classList.contains("before-date")) parts[parts.length - 1] += ` (${cells[cell]})`;
      else parts.push(`${heads[cell]} ${cells[cell]}`);
    }
    return [cells[0], parts];
  }
  function show(unit) {
    at = Math.min(last, Math.max(0, unit));
    const svg = drawing(), row = rows.get(at);
    if (!svg || !row) return;
    const left = Number(svg.dataset.left), right = Number(svg.dataset.right);
    const x = last > 0 ? left + ((right - left) * at) / last : left;
    const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
    const cursor = svg.querySelector(".cursor"), point = svg.querySelector(".point");
    for (const end of ["x1", "x2"]) cursor.setAttribute(end, x);
    point.setAttribute("cx", x);
    point.setAttribute("cy", svg.dataset.ys.split(" ")[at]);
    box.classList.add("reading");
    const [head, parts] = words(row);
    tip.replaceChildren(Object.assign(document.createElement("strong"), { textContent: head }));
    for (const part of parts) tip.append(Object.assign(document.createElement("span"), { textContent: part }));
    tip.hidden = false;
    const room = box.clientWidth - tip.offsetWidth, wanted = x * scale + 14;
    tip.style.left = `${Math.max(0, wanted > room ? x * scale - tip.offsetWidth - 14 : wanted)}px`;
    return `${head}: ${parts.join(", ")}`;
  }
  function hide() {
    box.classList.remove("reading");
    tip.hidden = true;
  }
  box.addEventListener("pointermove", (event) => {
    const svg = drawing();
    if (!svg) return;
    const { left, width } = svg.getBoundingClientRect();
    const x = ((event.clientX - left) / width) * svg.viewBox.baseVal.width;
    const from = Number(svg.dataset.left), to = Number(svg.dataset.right);
    show(last > 0 ? Math.round(((x - from) / (to - from)) * last) : 0);
  });
  box.addEventListener("pointerleave", hide);
  box.addEventListener("blur", hide);
  box.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: -1, ArrowRight: 1, PageUp: -7, PageDown: 7, Home: -Infinity, End: Infinity };
    if (event.key === "Escape") return hide();
    const step = steps[event.key];
    if (step === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    // The first key goes to the newest unit, as people read it first.
    say(show(at === null && Number.isFinite(step) ? last : (at ?? last) + step));
  });
}

async function copy(button) {
  await navigator.clipboard.writeText(button.dataset.copy);
  const before = button.textContent;
  button.textContent = texts.copied;
  say(texts.copied);
  setTimeout(() => (button.textContent = before), 2000);
}

async function png(button) {
  const image = new Image();
  image.src = button.dataset.png;
  await image.decode();
  const canvas = Object.assign(document.createElement("canvas"), { width: image.width * 2, height: image.height * 2 });
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: "sessions.png" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

// What comes with a number: lines, and what is shown once something is done.
function news(place, rows, done) {
  const list = place.querySelector("ul");
  list.replaceChildren(...rows.map((row) => Object.assign(document.createElement("li"), { textContent: row })));
  list.parentElement.hidden = !rows.length;
  place.querySelector("[data-done]").hidden = !done;
}

// One request at a time, and none while nobody looks.
function live(place) {
  const address = place.dataset.live, shown = place.querySelector(".now");
  let tag = "";
  const again = () => setTimeout(ask, 1000 * (place.dataset.every ?? 10));
  async function ask() {
    if (document.hidden) return document.addEventListener("visibilitychange", ask, { once: true });
    try {
      const answer = await fetch(address, { headers: tag ? { "if-none-match": tag } : {} });
      if (answer.status === 401) return;
      if (answer.ok) {
        tag = answer.headers.get("etag") ?? "";
        const { text, rows, done } = await answer.json();
        shown.textContent = text;
        if (rows) news(place, rows, done);
      }
    } catch {}
    again();
  }
  again();
}

// Counts what a filter holds for while it is typed. The old number stays until there is a new one.
function builder(place) {
  const form = place.querySelector("form"), card = place.querySelector(".preview");
  const now = card.querySelector(".now"), words = card.querySelector(".words"), path = card.querySelector("path");
  let typing, running;
  async function count() {
    running?.abort();
    const { signal } = (running = new AbortController());
    const late = setTimeout(() => {
      card.classList.add("old");
      now.textContent = place.dataset.counting;
    }, 300);
    try {
      const answer = await fetch(place.dataset.preview, { method: "POST", body: new URLSearchParams(new FormData(form)), signal });
      if (!answer.ok) return;
      const { text, words: said, outline, again } = await answer.json();
      now.textContent = text;
      words.textContent = said;
      words.parentElement.hidden = !said;
      path.setAttribute("d", outline);
      if (again) typing = setTimeout(count, 2000);
    } catch {
    } finally {
      clearTimeout(late);
      if (!signal.aborted) card.classList.remove("old");
    }
  }
  form.addEventListener("input", (event) => {
    if (!event.target.name.startsWith("f")) return;
    clearTimeout(typing);
    typing = setTimeout(count, 400);
  });
}

document.querySelectorAll(".chart").forEach(chart);
document.querySelectorAll(".builder").forEach(builder);
document.querySelectorAll("[data-live]").forEach(live);
for (const [attribute, act] of [["copy", copy], ["png", png]]) {
  for (const button of document.querySelectorAll(`button[data-${attribute}]`)) {
    if (attribute === "copy" && !navigator.clipboard) continue;
    button.hidden = false;
    button.addEventListener("click", () => act(button).catch(() => {}));
  }
}
