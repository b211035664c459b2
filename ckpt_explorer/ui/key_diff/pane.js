/* The pane below the grid: why the selected row is as it is, what could be done about it, and what can be copied. */

function drawPane(view) {
  const { pane } = view.dom;
  const { rows, selected } = view;
  const had = pane.contains(view.root.activeElement);
  pane.replaceChildren();
  const row = selected ? rowOf(rows, selected.left, selected.right) : -1;
  if (row < 0) pane.append(hint(view));
  else pane.append(facts(view, row), answers(view));
  pane.append(copies(view, row));
  if (had) focusPane(view);
}

function focusPane(view) {
  const first = view.dom.pane.querySelector("button.offer:not(:disabled)") || view.dom.pane.querySelector("button");
  first?.focus();
}

function hint(view) {
  const box = element("div", "facts");
  for (const text of view.data.advice || []) box.append(element("p", "", visible(text)));
  box.append(
    element("p", "keys", "Arrow keys move · Enter selects · n next trouble · p pairs two rows by hand, as does dragging · / searches · c copies a key"),
  );
  return box;
}

/* What the rows themselves tell: here at once, before Python has answered. */
function facts(view, row) {
  const { rows, selected } = view;
  const box = element("div", "facts");
  const title = element("p", "title");
  const code = rows.code(row);
  title.append(element("span", `symbol ${rows.harmless(row) ? "ignored" : STATUS_CLASSES[code]}`, rows.words[code][0]), element("b", "", rows.words[code][1]));
  if (selected.others) title.append(element("span", "says", `and ${counted(selected.others, "other")} of this form`));
  if (rows.note(row)) title.append(element("span", "says", visible(rows.note(row))));
  box.append(title);
  for (const [name, key] of [["in the file", rows.checkpoint(row)], ["in the network", rows.model(row)]]) {
    if (key === null) continue;
    const line = element("p", "fact");
    const text = element("code");
    const whole = view.whole === key;
    fill(text, key === "" ? [["(the empty key)", "unseen"]] : [[key, ""]], whole ? Infinity : 300);
    line.append(element("span", "name", name), text);
    if (key.length > 300 && !whole)
      line.append(button("link", `show all ${key.length.toLocaleString("en")} characters`, () => view.guarded(() => {
        view.whole = key;
        drawPane(view);
      })));
    box.append(line);
  }
  return box;
}

/* What Python says of the row; until it has, that it is being asked. */
function answers(view) {
  const { details } = view.data;
  const { selected } = view;
  const box = element("div", "answers");
  box.setAttribute("aria-live", "polite");
  if (!details || details.left !== selected.left || details.right !== selected.right) {
    box.append(element("p", "waiting", "…"));
    return box;
  }
  for (const text of details.says) box.append(element("p", "", visible(text)));
  if (details.way.length) box.append(way(details.way));
  if (details.candidates.length) box.append(candidates(view, details));
  if (details.offers.length) box.append(offers(view, details));
  return box;
}

function way(steps) {
  const list = element("ol", "way");
  for (const [rule, before, after] of steps) {
    const item = element("li");
    item.append(element("span", "name", `rule ${rule}`));
    const text = element("code");
    if (after === null) fill(text, [["left out", "faint"]], 40);
    else fill(text, compared(before, after, "cut", "new")[1], 120);
    item.append(text);
    list.append(item);
  }
  return list;
}

function candidates(view, details) {
  const table = element("div", "candidates");
  table.append(element("h4", "", details.wants));
  for (const each of details.candidates) {
    const line = element("p", "candidate");
    const act = () => view.guarded(() => {
      view.tell({ do: "pair", left: each.left, right: each.right });
    });
    line.append(button("small", "Pair", act, "See what rule would pair them"));
    const text = element("code");
    fill(text, [[each.key, ""]], 70);
    line.append(text, element("span", "says", visible(each.says)));
    table.append(line);
  }
  return table;
}

function offers(view, details) {
  const box = element("div", "offers");
  box.append(element("h4", "", details.offered));
  details.offers.forEach((each, number) => {
    const card = element("div", "card");
    const take = button("offer", each.does, () => view.guarded(() => view.tell({ do: "take", offer: number, left: details.left, right: details.right })));
    card.append(take);
    const rules = element("p", "rules");
    for (const rule of each.rules) rules.append(fill(element("code"), [[rule, ""]], 160));
    card.append(rules);
    for (const [before, after] of each.examples) {
      const line = element("p", "example");
      const [ours, theirs] = compared(before, after, "cut", "new");
      line.append(fill(element("code"), ours, 80), ` ${ARROW} `, fill(element("code"), theirs, 80));
      card.append(line);
    }
    card.append(element("p", "says", visible(each.says)));
    box.append(card);
  });
  return box;
}

/* ---------------------------------------------------------------- copying */

function copies(view, row) {
  const { rows } = view;
  const box = element("div", "copies");
  const add = (label, text, what) => box.append(button("small", label, () => view.guarded(() => copy(view, text(), what))));
  box.append(element("span", "name", "Copy"));
  if (row >= 0) {
    if (rows.left[row] >= 0) add("file's key", () => rows.checkpoint(row), "the file's key");
    if (rows.right[row] >= 0) add("network's key", () => rows.model(row), "the network's key");
  }
  const column = (of) => view.shownRows().map(of).filter((text) => text !== null && text !== "").join("\n");
  add("column of the file", () => column(rows.checkpoint), "the column of the file");
  add("column of the network", () => column(rows.model), "the column of the network");
  add("missing keys", () => missingKeys(rows), "the missing keys");
  for (const [label, text] of Object.entries(view.data.copies || {})) add(label, () => text, label);
  view.dom.copied = element("span", "copied");
  view.dom.copied.setAttribute("role", "status");
  box.append(view.dom.copied);
  return box;
}

const missingKeys = (rows) => {
  const keys = [];
  for (let row = 0; row < rows.count; row++) if (rows.code(row) === MISSING && !rows.harmless(row)) keys.push(rows.model(row));
  return keys.join("\n");
};

function copy(view, text, what) {
  const said = (done) => (view.dom.copied.textContent = done ? `copied ${what} (${counted(text.length, "character")})` : "the browser did not let it be copied");
  navigator.clipboard.writeText(text).then(() => said(true), () => said(false));
}
