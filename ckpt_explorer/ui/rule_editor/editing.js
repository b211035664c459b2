// Editing: the one field in which a rule is written. It stays the same element while the page runs, so that focus,
// caret and a composition in progress stay where they are.

const DEBOUNCE = 120;

function makeEditor(s) {
  const box = el("div", "editor");
  const input = el("input");
  input.type = "text";
  input.spellcheck = false;
  input.autocomplete = "off";
  input.setAttribute("autocapitalize", "off");
  input.setAttribute("role", "combobox");
  input.setAttribute("aria-autocomplete", "list");
  input.setAttribute("aria-controls", "words");
  input.setAttribute("aria-expanded", "false");
  input.placeholder = "strip prefix module.   or   linear. -> fc.";
  const list = el("ul", "words");
  list.id = "words";
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", "Words that fit here");
  list.hidden = true;
  box.append(input, list);
  const editor = { box, input, list, items: [], at: -1, from: 0 };
  input.addEventListener("input", () => { typed(s); offerWords(s); });
  input.addEventListener("keydown", (event) => keyInEditor(s, event));
  input.addEventListener("blur", () => leftEditor(s));
  list.addEventListener("mousedown", (event) => event.preventDefault());
  return editor;
}

function startEditing(s, target, given) {
  if (s.editing && sameTarget(s.editing, target)) return s.editor.input.focus();
  if (s.editing) leaveDraft(s);
  const line = target.position === null ? null : s.view[target.position];
  const original = line ? line.text : "";
  const aside = line ? line.aside : target.at === null ? s.data.aside : "";
  s.editing = { ...target, rule: original, shown: null };
  s.editor.input.value = given ?? (aside || original);
  s.editor.input.readOnly = false;
  hideWords(s);
  drawRows(s);
  s.editor.input.focus();
  const end = s.editor.input.value.length;
  s.editor.input.setSelectionRange(end, end);
  if (s.editor.input.value) typed(s, 0);
  if (!line) offerWords(s);
}

function sameTarget(one, other) {
  return one.position === other.position && (one.position !== null || one.at === other.at);
}

// Another rule is edited: what was typed here is set aside by the other side, which hears of the new draft.
function leaveDraft(s) {
  clearTimeout(s.timer);
  const { input } = s.editor;
  if (input.value !== s.editing.rule && input.value.trim()) sendDraft(s);
  s.editing = null;
}

function stopEditing(s, focus) {
  clearTimeout(s.timer);
  if (!s.editing) return;
  const at = entryOf(s, s.editing);
  s.editing = null;
  hideWords(s);
  if (focus) s.wantFocus = s.focus = Math.max(at, 0);
  drawRows(s);
}

function giveBack(s, focus) {
  clearTimeout(s.timer);
  const { position, at } = s.editing;
  s.c.setStateValue("draft", { client: s.client, place: s.data.place, number: ++s.number, position, at, text: null });
  if (s.editing.position !== null && s.view[s.editing.position]) delete s.view[s.editing.position].aside;
  else if (s.editing.position === null) s.data.aside = "";
  stopEditing(s, focus);
}

function typed(s, wait = DEBOUNCE) {
  clearTimeout(s.timer);
  s.timer = setTimeout(() => sendDraft(s), wait);
}

function sendDraft(s) {
  clearTimeout(s.timer);
  s.timer = 0;
  if (!s.editing) return;
  const { position, at } = s.editing;
  s.c.setStateValue("draft", { client: s.client, place: s.data.place, number: ++s.number, position, at, text: s.editor.input.value });
}

function leftEditor(s) {
  hideWords(s);
  if (!s.editing || s.writing || !document.hasFocus()) return;
  if (s.editor.input.value === s.editing.rule || !s.editor.input.value.trim()) giveBack(s, false);
  else if (s.timer) sendDraft(s);
}

function keyInEditor(s, event) {
  event.stopPropagation();
  if (event.isComposing || event.keyCode === 229) return;
  const { editor } = s;
  if (event.key === "Enter") {
    event.preventDefault();
    if (editor.at >= 0) takeWord(s, editor.at);
    else write(s);
  } else if (event.key === "Escape") {
    event.preventDefault();
    if (editor.at >= 0) hideWords(s);
    else giveBack(s, true);
  } else if (event.key === "Tab" && !event.shiftKey && !editor.list.hidden && editor.items.length) {
    event.preventDefault();
    takeWord(s, Math.max(editor.at, 0));
  } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    if (editor.list.hidden) offerWords(s);
    if (!editor.items.length) return;
    const step = event.key === "ArrowDown" ? 1 : -1;
    const count = editor.items.length + 1;
    markWord(s, (editor.at + 1 + step + count) % count - 1);
  }
}

function write(s) {
  if (s.writing) return;
  clearTimeout(s.timer);
  s.timer = 0;
  const text = s.editor.input.value;
  if (text === s.editing.rule || (s.editing.position === null && !text.trim())) return giveBack(s, true);
  s.editor.input.readOnly = true;
  hideWords(s);
  const { position, at, rule } = s.editing;
  s.writing = act(s, { act: "write", position, at, rule: position === null ? null : rule, text, number: s.number });
  s.writes.add(s.writing);
}

// ---------------------------------------------------------------- the words that fit

function offerWords(s) {
  const { editor } = s;
  const { value, selectionStart } = editor.input;
  if (selectionStart !== value.length) return hideWords(s);
  const found = completions(value, s.data.words);
  editor.items = found.items;
  editor.from = found.from;
  editor.at = -1;
  if (!found.items.length) return hideWords(s);
  fill(editor.list, ...found.items.map((item, at) => {
    const row = el("li");
    row.id = `word-${at}`;
    row.setAttribute("role", "option");
    row.setAttribute("aria-selected", "false");
    row.append(el("span", "word", item.text.trimEnd()), el("span", "help", item.like ? item.like : item.help));
    row.title = item.help;
    row.addEventListener("click", () => takeWord(s, at));
    return row;
  }));
  editor.list.hidden = false;
  editor.list.scrollTop = 0;
  editor.input.setAttribute("aria-expanded", "true");
  editor.input.removeAttribute("aria-activedescendant");
}

function hideWords(s) {
  const { editor } = s;
  editor.at = -1;
  editor.list.hidden = true;
  editor.input.setAttribute("aria-expanded", "false");
  editor.input.removeAttribute("aria-activedescendant");
}

function markWord(s, at) {
  const { editor } = s;
  editor.at = at;
  [...editor.list.children].forEach((row, number) => row.setAttribute("aria-selected", String(number === at)));
  if (at < 0) return editor.input.removeAttribute("aria-activedescendant");
  editor.input.setAttribute("aria-activedescendant", `word-${at}`);
  editor.list.children[at].scrollIntoView({ block: "nearest" });
}

function takeWord(s, at) {
  const { editor } = s;
  editor.input.value = editor.input.value.slice(0, editor.from) + editor.items[at].text;
  editor.input.focus();
  typed(s);
  offerWords(s);
}
