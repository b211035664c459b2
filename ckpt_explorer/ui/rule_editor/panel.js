// Panel: one rule editor on the page. What is done goes into a log until the other side has answered for it; the list
// shows it at once.

const PANELS = new WeakMap();
const MEMORY = new Map();

function makePanel(root) {
  const s = { root, client: crypto.getRandomValues(new Uint32Array(3)).join("-"), number: 0, acts: 0, log: [], view: [], rows: [], entries: [],
    editing: null, writing: 0, writes: new Set(), importing: 0, timer: 0, focus: 0, wantFocus: null, dragged: null, whys: new Set(), memory: { panel: "" }, place: null };
  const box = root.querySelector(".rules");
  s.editor = makeEditor(s);
  const { above, below } = makeTools(s);
  s.list = el("ol", "list");
  s.list.setAttribute("aria-label", "Rules, in order");
  s.list.addEventListener("keydown", (event) => keyInRows(s, event));
  s.list.addEventListener("paste", (event) => pastedOnList(s, event));
  s.live = el("p", "live");
  s.live.setAttribute("role", "status");
  s.refused = el("p", "complaint");
  s.refused.setAttribute("role", "alert");
  fill(box, ...above, s.list, s.refused, ...below, s.live);
  s.onKey = (event) => keyOnPage(s, event);
  document.addEventListener("keydown", s.onKey);
  return s;
}

// Put an act into the log and tell of the whole log: whatever the page loses on the way, the next one brings again.
function act(s, what) {
  const made = { id: ++s.acts, ...what };
  s.log.push(made);
  s.c.setStateValue("acts", { client: s.client, place: s.data.place, log: s.log.slice() });
  look(s);
  return made.id;
}

const AT_ONCE = {
  delete: (rules, made) => rules.splice(made.position, 1),
  switch: (rules, made) => { rules[made.position] = { ...rules[made.position], on: made.on, state: made.on ? "typing" : "off", count: undefined }; },
  move: (rules, made) => rules.splice(made.to, 0, ...rules.splice(made.position, 1)),
  duplicate: (rules, made) => rules.splice(made.position + 1, 0, rules[made.position]),
};

function look(s) {
  s.view = s.data.rules.slice();
  s.at = s.log.reduce((at, made) => ({ undo: at - 1, redo: at + 1, "go to": made.to, export: at }[made.act] ?? at + 1), s.data.at);
  for (const made of s.log) if (AT_ONCE[made.act] && s.view[made.position]) AT_ONCE[made.act](s.view, made);
  refind(s);
  drawRows(s);
  drawTools(s);
}

function take(s, data) {
  const before = s.data;
  s.data = data;
  if (!before || before.place !== data.place) begin(s);
  const { client, done, refused } = data.answered;
  let written = 0;
  if (client === s.client) {
    s.log = s.log.filter((made) => made.id > done);
    if (s.writing && done >= s.writing) { written = s.writing; s.writing = 0; }
    if (s.importing && done >= s.importing) { if (!refused[s.importing]) { s.pasted.value = ""; s.memory.panel = ""; } s.importing = 0; }
  }
  const why = Object.entries(refused).filter(([id]) => !s.writes.has(Number(id))).map(([, says]) => says).pop();
  s.refused.textContent = why && client === s.client && !data.pasted[1] ? `✕ ${why}` : "";
  if (written) answeredWrite(s, Boolean(refused[written]));
  if (!s.editing && data.draft?.tried) adopt(s);
  if (s.editing) {
    const draft = data.draft;
    if (draft && sameTarget(draft, s.editing) && (draft.text === s.editor.input.value || !s.editing.shown)) s.editing.shown = draft;
  }
  look(s);
}

function answeredWrite(s, isRefused) {
  s.editor.input.readOnly = false;
  if (isRefused || !s.editing) return s.editing && s.editor.input.focus();
  const { position, at } = s.editing;
  s.editing = null;
  s.focus = s.wantFocus = position ?? at ?? s.data.rules.length - 1;
}

// Another file, state dict or network: what was begun belongs to the other, and is kept for it on the other side.
function begin(s) {
  s.place = s.data.place;
  s.log = [];
  s.editing = null;
  s.writing = 0;
  s.whys = new Set();
  s.focus = 0;
  if (!MEMORY.has(s.place)) MEMORY.set(s.place, { panel: "" });
  s.memory = MEMORY.get(s.place);
  s.view = s.data.rules.slice();
  if (s.data.pasted[0]) { s.pasted.value = s.data.pasted[0]; s.memory.panel = "import"; }
  if (s.data.draft) adopt(s);
}

// A draft that the other side kept, from a visit before or from an Enter that could not be done, is gone on with.
function adopt(s) {
  const { draft } = s.data;
  if (draft.position !== null && draft.position >= s.data.rules.length) return;
  s.editing = { position: draft.position, at: draft.at, rule: draft.position === null ? "" : s.data.rules[draft.position].text, shown: draft };
  s.editor.input.value = draft.text;
  s.editor.input.readOnly = false;
}

// The rule that is edited may have moved, by undo or by a click in the keys; where it is gone, the draft is a new rule.
function refind(s) {
  const { editing, view } = s;
  if (!editing || s.writing || editing.position === null || view[editing.position]?.text === editing.rule) return;
  const same = view.map((line, at) => (line.text === editing.rule ? at : -1)).filter((at) => at >= 0);
  if (same.length === 1) editing.position = same[0];
  else Object.assign(editing, { position: null, at: null, rule: "" });
  typed(s, 0);
}

function say(s, text) { s.live.textContent = text; }

function keyOnPage(s, event) {
  if (!(event.ctrlKey || event.metaKey) || event.altKey) return;
  const inside = event.composedPath()[0];
  if (inside instanceof Element && inside.matches("input:not([type=checkbox]):not([type=file]), textarea, select, [contenteditable]")) return;
  const key = event.key.toLowerCase();
  const verb = key === "z" ? (event.shiftKey ? "redo" : "undo") : key === "y" && !event.shiftKey ? "redo" : "";
  if (!verb || (verb === "undo" ? s.undo : s.redo).getAttribute("aria-disabled") === "true") return;
  event.preventDefault();
  say(s, (verb === "undo" ? s.undo : s.redo).textContent);
  act(s, { act: verb });
}

function pastedOnList(s, event) {
  if (event.target.matches("input")) return;
  const text = event.clipboardData.getData("text/plain");
  if (!text.trim()) return;
  event.preventDefault();
  s.pasted.value = text;
  openPanel(s, "import");
}

export default function (c) {
  const root = c.parentElement;
  let s = PANELS.get(root);
  if (!s) PANELS.set(root, (s = makePanel(root)));
  s.c = c;
  try {
    take(s, c.data);
  } catch (error) {
    s.refused.textContent = `✕ The rule list could not be drawn: reload the page. (${error.message})`;
    console.error(error);
  }
  return () => { document.removeEventListener("keydown", s.onKey); clearTimeout(s.timer); PANELS.delete(root); };
}
