// Tools: undo and redo, the steps, what is suggested, import and export, and how a rule is written.

function makeTools(s) {
  const head = el("div", "head");
  const title = el("h2", "", "Rules, in order");
  s.origin = el("span", "origin");
  head.append(title, s.origin);
  const top = el("div", "bar top");
  const bar = el("div", "bar");
  s.undo = button("", "Undo", "", () => act(s, { act: "undo" }));
  s.redo = button("", "Redo", "", () => act(s, { act: "redo" }));
  top.append(s.undo, s.redo);
  s.panels = {};
  for (const [name, words] of [["steps", "Steps"], ["import", "Import"], ["export", "Export"], ["help", "Help"]]) {
    const opener = button("", words, "", () => openPanel(s, s.memory.panel === name ? "" : name));
    const panel = el("div", `panel ${name}`);
    panel.id = `panel-${name}`;
    panel.setAttribute("role", "region");
    panel.setAttribute("aria-label", words);
    opener.setAttribute("aria-controls", panel.id);
    s.panels[name] = { opener, panel };
    (name === "steps" ? top : bar).append(opener);
  }
  s.clear = button("", "Start from nothing", "Take all rules out; undo brings them back", () => act(s, { act: "clear" }));
  bar.append(s.clear);
  s.suggested = el("div", "suggested");
  makeImport(s);
  makeExport(s);
  const { steps, ...others } = s.panels;
  return { above: [head, top, steps.panel], below: [s.suggested, bar, ...Object.values(others).map((row) => row.panel)] };
}

function openPanel(s, name) {
  s.memory.panel = name;
  if (name !== "export" && s.data.exported) act(s, { act: "export", text: "" });
  if (name === "export" && !s.data.exported) act(s, { act: "export", text: "lines" });
  drawTools(s);
  if (name === "import") s.pasted.focus();
}

function drawTools(s) {
  const { data } = s;
  s.origin.textContent = !data.has_suggestion && !s.view.length ? "nothing is suggested" : data.differs ? "" : data.has_suggestion ? "as suggested from structure" : "";
  drawStep(s.undo, "Undo", s.at > 0 ? data.steps[s.at - 1] ?? "the last step" : "");
  drawStep(s.redo, "Redo", s.at < data.steps.length ? data.steps[s.at] : "");
  able(s.clear, s.view.length > 0);
  for (const [name, { opener, panel }] of Object.entries(s.panels)) {
    const open = s.memory.panel === name;
    opener.setAttribute("aria-expanded", String(open));
    panel.hidden = !open;
  }
  drawSteps(s);
  drawSuggested(s);
  drawExport(s);
  drawHelp(s);
  s.importWrong.textContent = data.pasted[1] ? `✕ ${data.pasted[1]}` : "";
}

function drawStep(made, verb, step) {
  made.textContent = step ? `${verb}: ${step}` : verb;
  made.title = `${step ? `${verb}: ${step}. ` : ""}${verb === "Undo" ? "Ctrl+Z" : "Ctrl+Shift+Z or Ctrl+Y"}`;
  able(made, Boolean(step));
}

function drawSteps(s) {
  const { opener, panel } = s.panels.steps;
  const { at, data: { steps } } = s;
  opener.textContent = steps.length ? `Steps (${steps.length})` : "Steps";
  if (panel.hidden) return;
  const list = el("ol");
  const names = ["the rules as they were at first", ...steps];
  names.forEach((name, number) => {
    const row = el("li");
    const made = button(number > at ? "taken-back" : "", name, "", () => act(s, { act: "go to", to: number }));
    if (number === at) { made.setAttribute("aria-current", "step"); row.className = "now"; }
    row.append(made);
    list.append(row);
  });
  const had = panel.contains(s.root.activeElement) ? [...panel.querySelectorAll("button")].indexOf(s.root.activeElement) : -1;
  fill(panel, el("p", "said", "Go back to any step, or on again."), list);
  if (had >= 0) panel.querySelectorAll("button")[Math.min(had, names.length - 1)].focus();
}

function drawSuggested(s) {
  const key = JSON.stringify([s.data.suggested, s.data.differs]);
  if (s.suggested.drawn === key) return;
  s.suggested.drawn = key;
  const had = [...s.suggested.querySelectorAll("li button")].indexOf(s.root.activeElement);
  const inside = s.suggested.contains(s.root.activeElement);
  fill(s.suggested);
  s.suggested.hidden = !(s.data.has_suggestion && s.data.differs);
  if (s.suggested.hidden) { if (inside) focusRow(s, 0); return; }
  const head = el("div", "head");
  const count = s.data.suggested.length;
  head.append(el("h3", "", count ? `Suggested and not in force: ${count}` : "The suggested rules are all in force"));
  head.append(button("take-all", "Take the suggestion", "Make the rules those that are suggested", () => act(s, { act: "take all" })));
  s.suggested.append(head);
  const list = el("ul");
  for (const rule of s.data.suggested) {
    const row = el("li");
    const text = el("div", "text");
    fill(text, ...ruleText(rule.text, s.data.words.kinds));
    row.append(text, button("small", "Add", `Add ${rule.text}`, () => act(s, { act: "take", rule: rule.text })));
    if (rule.why) row.append(el("div", "why", rule.why));
    list.append(row);
  }
  s.suggested.append(list);
  const left = list.querySelectorAll("button");
  if (inside) (left[Math.min(Math.max(had, 0), left.length - 1)] || head.querySelector("button")).focus();
}

// ---------------------------------------------------------------- in and out

function makeImport(s) {
  const { panel } = s.panels.import;
  s.pasted = el("textarea");
  s.pasted.rows = 5;
  s.pasted.spellcheck = false;
  s.pasted.setAttribute("aria-label", "Rules, one a line or as JSON");
  s.pasted.placeholder = "Paste rules, one a line or as JSON";
  s.pasted.addEventListener("keydown", (event) => event.stopPropagation());
  s.importWrong = el("p", "complaint");
  s.importWrong.setAttribute("role", "alert");
  const file = el("input", "file");
  file.type = "file";
  file.accept = ".json,.txt,application/json,text/plain";
  file.setAttribute("aria-label", "A file of rules");
  file.addEventListener("change", () => { if (file.files[0]) readRules(s, file.files[0]); file.value = ""; });
  const bar = el("div", "bar");
  bar.append(
    button("strong", "Replace the list", "", () => importRules(s, false)),
    button("", "Add to the list", "", () => importRules(s, true)),
    button("", "Choose a file", "", () => file.click()),
    file,
  );
  fill(panel, s.pasted, s.importWrong, bar);
}

function importRules(s, behind) {
  if (!s.pasted.value.trim()) return s.pasted.focus();
  s.importing = act(s, { act: "import", text: s.pasted.value, behind });
}

async function readRules(s, file) {
  const bytes = await file.slice(0, (1 << 20) + 1).arrayBuffer();
  try {
    s.pasted.value = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    s.importWrong.textContent = "✕ The rules file is no text.";
    return;
  }
  importRules(s, false);
}

function makeExport(s) {
  const { panel } = s.panels.export;
  s.form = el("select");
  s.form.setAttribute("aria-label", "Form");
  s.form.addEventListener("change", () => act(s, { act: "export", text: s.form.value }));
  s.exported = el("pre");
  s.exported.tabIndex = 0;
  s.exported.setAttribute("role", "group");
  s.exported.setAttribute("aria-label", "The rules in this form");
  s.copy = button("strong", "Copy", "", async () => {
    if (!s.data.exported) return;
    s.copy.textContent = (await copied(s.data.exported.text)) ? "Copied" : "Select and copy by hand";
    setTimeout(() => { s.copy.textContent = "Copy"; }, 1500);
  });
  const bar = el("div", "bar");
  bar.append(s.form, s.copy, button("", "Download", "", () => download(s)));
  fill(panel, bar, s.exported);
}

function download(s) {
  if (!s.data.exported) return;
  const link = el("a");
  link.href = URL.createObjectURL(new Blob([s.data.exported.text], { type: "text/plain" }));
  link.download = s.data.exported.name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

function drawExport(s) {
  const { exported, forms } = s.data;
  if (!s.form.options.length) for (const [name, words] of Object.entries(forms)) { const option = el("option", "", words); option.value = name; s.form.append(option); }
  if (exported) s.form.value = exported.form;
  s.exported.textContent = exported ? exported.text : "";
}

function drawHelp(s) {
  const { panel } = s.panels.help;
  if (panel.childNodes.length) return;
  const list = el("dl");
  for (const kind of s.data.words.kinds) list.append(el("dt", "", kind.example), el("dd", "", kind.help));
  const keys = el("dl", "keys");
  for (const [key, does] of [["Enter or F2", "edit the rule; Enter again puts it in force, Escape gives it back"], ["Space", "switch it on or off"], ["Alt+↑ Alt+↓", "move it"], ["Del", "delete it"], ["Insert", "write a rule below"], ["Ctrl+D", "duplicate it"], ["→ ←", "show why it is there, or hide it"], ["Ctrl+Z, Ctrl+Shift+Z", "undo, redo"]])
    keys.append(el("dt", "", key), el("dd", "", does));
  fill(panel, el("h3", "", "Kinds of rule"), list, el("h3", "", "Keys"), keys);
}
