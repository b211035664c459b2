// Browser memory: what was done for a file stays in this browser, under the file's fingerprint, and is offered again.

const FRONT = "checkpoint-explorer:rules:";
const MOST_FILES = 50;
const MOST_OPENINGS = 3;
const MOST_CHARACTERS = 200000;

const PLACES = new WeakMap();

function readEntry(file) {
  try {
    const entry = JSON.parse(localStorage.getItem(FRONT + file));
    return Array.isArray(entry?.kept) ? entry.kept.filter((row) => typeof row?.record === "string" && typeof row.opening === "string") : [];
  } catch {
    return [];
  }
}

function lastUse(name) {
  try { return Number(JSON.parse(localStorage.getItem(name)).at) || 0; } catch { return 0; }
}

// The files that were worked on longest ago make room for others.
function makeRoom(most) {
  const names = Object.keys(localStorage).filter((name) => name.startsWith(FRONT));
  names.sort((one, other) => lastUse(other) - lastUse(one));
  for (const name of names.slice(most)) localStorage.removeItem(name);
}

function writeEntry(file, kept) {
  const text = JSON.stringify({ at: Date.now(), kept });
  for (const most of [MOST_FILES - 1, 10, 0]) {
    try {
      if (!localStorage.getItem(FRONT + file)) makeRoom(most);
      localStorage.setItem(FRONT + file, text);
      return;
    } catch {
      makeRoom(most);
    }
  }
}

function keep(s, { file, opening, record }) {
  if (!record || record.length > MOST_CHARACTERS || s.written === record) return;
  s.written = record;
  const others = readEntry(file).filter((row) => row.opening !== opening);
  writeEntry(file, [{ opening, at: Date.now(), record }, ...others].slice(0, MOST_OPENINGS));
}

function look(s, c) {
  const { file, opening } = c.data;
  if (s.looked === opening) return;
  s.looked = opening;
  s.written = "";
  s.kept = readEntry(file).find((row) => row.opening !== opening) || null;
  if (s.kept && s.kept.record.length <= MOST_CHARACTERS) c.setStateValue("found", { opening, record: s.kept.record });
}

function answer(s, take) {
  const { file, opening } = s.c.data;
  if (!take) writeEntry(file, readEntry(file).filter((row) => row.opening === opening));
  s.c.setStateValue("answer", { opening, take });
}

function draw(s, { offer }) {
  s.box.hidden = !offer;
  if (!offer || !s.kept) return;
  const date = new Date(s.kept.at || 0).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
  s.text.textContent = offer.before + date + offer.after;
}

function make(root) {
  const s = { box: root.querySelector(".memory"), text: document.createElement("p"), looked: null, written: "", kept: null };
  s.box.setAttribute("role", "status");
  const buttons = document.createElement("div");
  for (const [words, take] of [["Take them back", true], ["Forget", false]]) {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = words;
    made.addEventListener("click", () => answer(s, take));
    buttons.append(made);
  }
  s.box.append(s.text, buttons);
  return s;
}

export default function (c) {
  let s = PLACES.get(c.parentElement);
  if (!s) PLACES.set(c.parentElement, (s = make(c.parentElement)));
  s.c = c;
  try {
    look(s, c);
    keep(s, c.data);
    draw(s, c.data);
  } catch (error) {  // a browser that keeps nothing: the page works without
    console.warn(error);
  }
}
