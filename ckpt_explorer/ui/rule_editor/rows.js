// Rows: one line a rule, and one for a new rule. Elements are kept and filled anew, so that nothing jumps.

function entries(s) {
  const made = s.view.map((line, position) => ({ line, position }));
  const target = s.editing;
  if (target && target.position === null && target.at !== null) made.splice(target.at, 0, { line: null, position: null, at: target.at });
  made.push({ line: null, position: null, at: null });
  return made;
}

function entryOf(s, target) {
  return entries(s).findIndex((entry) => sameTarget(target, { position: entry.position, at: entry.at ?? null }));
}

function makeRow(s) {
  const li = el("li");
  const row = { li, number: el("span", "number"), on: el("input"), text: el("div", "text"), count: el("span", "count"),
    note: el("div", "note"), complaint: el("div", "complaint"), why: el("div", "why"), tools: el("div", "tools"), index: 0 };
  row.on.type = "checkbox";
  row.on.addEventListener("change", () => { const entry = s.entries[row.index]; act(s, { act: "switch", ...named_(s, entry.position), on: row.on.checked }); });
  row.text.addEventListener("click", () => edit(s, row.index));
  row.note.addEventListener("click", () => edit(s, row.index));
  row.number.draggable = true;
  li.append(row.number, row.on, row.text, row.count, row.note, row.tools, row.complaint, row.why);
  li.addEventListener("focusin", () => { if (s.focus !== row.index) { s.focus = row.index; rove(s); } });
  dragging(s, row);
  row.whyButton = button("small", "why", "Why this rule is there, and what it does", () => { toggleWhy(s, row.index); });
  row.tools.append(
    row.whyButton,
    button("small", "+", "Write a rule below (Insert)", () => below(s, row.index)),
    button("small", "copy", "Duplicate (Ctrl+D)", () => duplicate(s, row.index)),
    button("small", "✕", "Delete (Del)", () => remove(s, row.index)),
  );
  return row;
}

function named_(s, position) { return { position, rule: s.view[position].text }; }

function drawRows(s) {
  s.entries = entries(s);
  while (s.rows.length > s.entries.length) s.rows.pop().li.remove();
  while (s.rows.length < s.entries.length) {
    const row = makeRow(s);
    s.rows.push(row);
    s.list.append(row.li);
  }
  s.focus = Math.min(s.focus, s.entries.length - 1);
  s.rows.forEach((row, index) => drawRow(s, row, index));
  rove(s);
  if (s.wantFocus !== null && s.rows[s.wantFocus]) {
    const row = s.rows[s.wantFocus];
    s.wantFocus = null;
    row.li.focus();
  }
}

function drawRow(s, row, index) {
  const { line, position, at } = s.entries[index];
  const isNew = position === null;
  row.index = index;
  const editing = s.editing && sameTarget(s.editing, { position, at: at ?? null });
  const shown = editing ? s.editing.shown || { state: "typing" } : line || { state: "new" };
  row.li.className = `rule ${isNew ? "is-fresh" : ""} ${line && !line.on ? "is-off" : ""} ${editing ? "is-edited" : ""} is-${shown.state}`;
  row.li.setAttribute("aria-label", isNew ? "Write a new rule" : spoken(line, position));
  row.number.textContent = isNew ? "+" : position + 1;
  row.number.draggable = !isNew;
  row.number.title = isNew ? "" : "Drag, or Alt+↑ and Alt+↓";
  row.on.hidden = isNew;
  row.tools.hidden = isNew;
  if (!isNew) {
    row.on.checked = line.on;
    row.on.setAttribute("aria-label", `Rule ${position + 1} is on`);
    row.whyButton.hidden = !hasDetails(line);
    row.whyButton.setAttribute("aria-expanded", String(s.whys.has(line.text)));
  }
  placeText(s, row, line, editing);
  row.count.textContent = shown.count === undefined ? (shown.state === "nothing" ? "0" : "") : shown.count.toLocaleString("en");
  row.count.title = shown.count === undefined ? "" : `${shown.count.toLocaleString("en")} ${shown.state === "fills" ? "tensors of the network" : "keys of the file"}`;
  drawNote(row, line, shown, editing);
  drawComplaint(s, row, line, shown, editing, position);
  drawDetails(row, line && s.whys.has(line.text) ? line : null);
}

const hasDetails = (line) => Boolean(line && (line.why || line.choices));

// Why a rule is there, and a choice written out: one line for each of its texts.
function drawDetails(row, line) {
  if (!hasDetails(line)) return fill(row.why);
  const table = el("div", "choices");
  for (const [before, after] of line.choices || []) {
    const [from, to] = [el("span", "text"), el("span", "text")];
    from.append(...breakable(before));
    to.append(el("span", "arrow", "→ "), ...breakable(after));
    table.append(from, to);
  }
  fill(row.why, ...(line.choices ? [table] : []), document.createTextNode(line.why || ""));
}

// The field stands in place of the text of the rule that is edited; it is moved only when it has to.
function placeText(s, row, line, editing) {
  if (editing) {
    if (s.editor.box.parentElement === row.text) return;
    const had = s.root.activeElement === s.editor.input;
    const [from, to] = [s.editor.input.selectionStart, s.editor.input.selectionEnd];
    fill(row.text, s.editor.box);
    s.editor.input.setAttribute("aria-label", line ? `Rule ${row.index + 1}` : "A new rule");
    if (had) { s.editor.input.focus(); s.editor.input.setSelectionRange(from, to); }
  } else if (line) {
    fill(row.text, ...ruleText(line.text, s.data.words.kinds));
  } else {
    fill(row.text, el("span", "prompt", "Write a rule"));
  }
}

function drawNote(row, line, shown, editing) {
  row.note.title = "";
  const quietly = editing && !shown.tried && (shown.wrong || shown.complaint);
  if (quietly) { row.note.title = quietly; return fill(row.note, el("span", shown.complaint ? "collides" : "not-yet", `${shown.complaint ? "✕ " : ""}${quietly}`)); }
  if (shown.state === "does" || shown.state === "fills") {
    row.note.title = shown.after === null || shown.after === shown.before ? shown.before : `${shown.before} → ${shown.after}`;
    return fill(row.note, ...example(shown));
  }
  const words = { off: "switched off", nothing: "touches nothing in this file", help: shown.says, wrong: "left out until it can be applied" }[shown.state];
  if (editing) return fill(row.note, el("span", "said", words && shown.state !== "off" ? words : "Enter puts it in force, Escape gives it back"));
  if (line && line.aside) return fill(row.note, el("span", "said", `typed, not in force: ${line.aside}`));
  return fill(row.note, el("span", "said", words || "linear. -> fc.     or     strip prefix module."));
}

function drawComplaint(s, row, line, shown, editing, position) {
  const text = editing ? shown.tried && shown.wrong : line && line.complaint;
  const offers = !editing && line && line.offers && position !== null ? line.offers : [];
  const key = JSON.stringify([text, offers]);
  if (row.complained === key) return;
  row.complained = key;
  fill(row.complaint);
  if (text) row.complaint.append(el("span", "mark", "✕ "), document.createTextNode(text));
  if (offers.length) {
    const box = el("span", "offers");
    for (const offer of offers) box.append(button("small", offer, "", () => { s.wantFocus = row.index; act(s, { act: "offer", ...named_(s, s.entries[row.index].position), offer }); }));
    row.complaint.append(box);
  }
}

function spoken(line, position) {
  const count = line.count === undefined ? "" : `, ${line.count} keys`;
  const state = { off: ", switched off", nothing: ", touches nothing in this file", wrong: `, ${line.complaint}` }[line.state] || "";
  return `Rule ${position + 1}: ${line.text}${count}${state}`;
}

// One row can be reached with Tab; arrows go to the others.
function rove(s) {
  s.rows.forEach((row, index) => {
    row.li.tabIndex = index === s.focus ? 0 : -1;
    for (const inner of row.li.querySelectorAll("button, input[type=checkbox]")) inner.tabIndex = index === s.focus ? 0 : -1;
  });
}

function focusRow(s, index) {
  s.focus = Math.max(0, Math.min(index, s.rows.length - 1));
  rove(s);
  s.rows[s.focus].li.focus();
}

// ---------------------------------------------------------------- what is done to a row

function edit(s, index, given) {
  const { position, at } = s.entries[index];
  startEditing(s, { position, at: position === null ? at : null }, given);
}

function below(s, index) {
  const { position } = s.entries[index];
  startEditing(s, { position: null, at: position === null || position + 1 >= s.view.length ? null : position + 1 });
}

function remove(s, index) {
  const { position } = s.entries[index];
  if (position === null) return;
  s.wantFocus = index;
  act(s, { act: "delete", ...named_(s, position) });
}

function duplicate(s, index) {
  const { position } = s.entries[index];
  if (position === null) return;
  s.wantFocus = index + 1;
  act(s, { act: "duplicate", ...named_(s, position) });
}

function move(s, position, to) {
  if (position === null || to < 0 || to >= s.view.length || to === position) return;
  s.wantFocus = to;
  act(s, { act: "move", ...named_(s, position), to });
  say(s, `Rule ${position + 1} is now rule ${to + 1} of ${s.view.length}`);
}

function toggleWhy(s, index, open) {
  const { line } = s.entries[index];
  if (!hasDetails(line)) return;
  const now = open === undefined ? !s.whys.has(line.text) : open;
  if (now) s.whys.add(line.text); else s.whys.delete(line.text);
  drawRows(s);
}

function keyInRows(s, event) {
  if (event.target.matches("input[type=text]")) return;
  const index = s.rows.findIndex((row) => row.li.contains(event.target));
  if (index < 0) return;
  const inner = event.target !== s.rows[index].li;
  const { position, line } = s.entries[index];
  const control = event.ctrlKey || event.metaKey;
  const does = {
    ArrowDown: () => (event.altKey ? move(s, position, position + 1) : focusRow(s, index + 1)),
    ArrowUp: () => (event.altKey ? move(s, position, position - 1) : focusRow(s, index - 1)),
    Home: () => focusRow(s, 0),
    End: () => focusRow(s, s.rows.length - 1),
    ArrowRight: () => toggleWhy(s, index, true),
    ArrowLeft: () => toggleWhy(s, index, false),
    F2: () => edit(s, index),
    Insert: () => below(s, index),
    Delete: () => remove(s, index),
  };
  if (!inner) {
    does.Enter = () => edit(s, index);
    does[" "] = () => line && act(s, { act: "switch", ...named_(s, position), on: !line.on });
  }
  const chosen = control ? (event.key === "d" ? () => duplicate(s, index) : null) : does[event.key];
  if (chosen) {
    event.preventDefault();
    event.stopPropagation();
    chosen();
  } else if (!control && !event.altKey && !inner && position === null && event.key.length === 1) {
    event.preventDefault();
    event.stopPropagation();
    edit(s, index, event.key);
    offerWords(s);
    typed(s);
  }
}

// ---------------------------------------------------------------- moving by drag

function dragging(s, row) {
  row.number.addEventListener("dragstart", (event) => {
    s.dragged = s.entries[row.index].position;
    event.dataTransfer.effectAllowed = "move";
    event.dataTransfer.setData("text/plain", s.view[s.dragged].text);
    event.dataTransfer.setDragImage(row.li, 12, 12);
    row.li.classList.add("dragged");
  });
  row.number.addEventListener("dragend", () => { s.dragged = null; clearDrop(s); row.li.classList.remove("dragged"); });
  row.li.addEventListener("dragover", (event) => {
    if (s.dragged === null) return;
    event.preventDefault();
    clearDrop(s);
    const box = row.li.getBoundingClientRect();
    const isBelow = event.clientY > box.top + box.height / 2 && s.entries[row.index].position !== null;
    row.li.classList.add(isBelow ? "drop-below" : "drop-above");
  });
  row.li.addEventListener("drop", (event) => {
    if (s.dragged === null) return;
    event.preventDefault();
    const isBelow = row.li.classList.contains("drop-below");
    clearDrop(s);
    const here = s.entries[row.index].position ?? s.view.length;
    const slot = isBelow ? here + 1 : here;
    move(s, s.dragged, Math.min(slot > s.dragged ? slot - 1 : slot, s.view.length - 1));
    s.dragged = null;
  });
}

function clearDrop(s) { for (const row of s.rows) row.li.classList.remove("drop-above", "drop-below"); }
