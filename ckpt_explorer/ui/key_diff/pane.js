/* The pane below the grid: why the selected row is as it is, what could be done about it, and what can be copied. */

function drawPane(view) {
  const { pane } = view.dom;
  const { rows, selected } = view;
  const had = pane.contains(view.root.activeElement);
  const { scrollTop } = pane;
  pane.replaceChildren();
  const at = selected ? view.seenAt(selected) : -1;
  const row = selected ? rowOf(rows, selected.left, selected.right) : -1;
  const details = row >= 0 ? answered(view) : null;
  const why = element("div", "why");
  if (row < 0) why.append(...hint(view));
  else why.append(...facts(view, row));
  pane.append(why);
  if (row >= 0) {
    why.append(...answers(view, details));
    if (details?.offers.length) pane.append(offers(view, details));
  }
  pane.append(copies(view, row));
  pane.scrollTop = scrollTop;
  if (at >= 0) view.inSight(at);  // the pane has grown at the cost of the grid
  if (had || view.wantsPane) focusPane(view);
}

/* To the first offer; where Python has not answered yet, when it has. */
function focusPane(view) {
  const { pane } = view.dom;
  const first = pane.querySelector("button.offer") || (answered(view) && pane.querySelector("button"));
  view.wantsPane = !first;
  first?.focus({ preventScroll: false });
}

/* What Python says of the row that is selected now, if it has answered. */
function answered(view) {
  const { data, selected } = view;
  if (!selected) return null;
  const isMeant = (part) =>
    part.name.startsWith("details:") && part.base === data.base && part.state === data.said && part.left === selected.left && part.right === selected.right;
  return [...shelf.parts.values()].find(isMeant) || null;
}

function hint(view) {
  const said = (view.data.advice || []).map((text) => element("p", "advice", visible(text)));
  if (view.data.proposes) {
    const act = () => view.guarded(() => view.tell({ do: "propose" }));
    said.push(button("offer first", view.data.proposes, act));
  }
  const keys = "↑ ↓ move · ← → fold · Enter selects · n next trouble · p pairs two rows, as does dragging one on the other · / searches · c copies";
  return [...said, element("p", "keys", keys)];
}

/* What the rows themselves tell: here at once, before Python has answered. */
function facts(view, row) {
  const { rows, selected } = view;
  const byHand = selected.left !== rows.left[row] || selected.right !== rows.right[row];
  const title = element("p", "title");
  const code = rows.code(row);
  if (byHand) title.append(element("b", "", "A pair made by hand"));
  else {
    title.append(element("span", `symbol ${rows.harmless(row) ? "ignored" : STATUS_CLASSES[code]}`, rows.words[code][0]));
    title.append(element("b", "", rows.words[code][1]));
  }
  if (selected.others) title.append(element("span", "says", `and ${counted(selected.others, "other")} of this form`));
  if (!byHand && rows.note(row)) title.append(element("span", "says", visible(rows.note(row))));
  const { keys } = rows;
  const sides = [
    ["in the file", selected.left >= 0 ? keys.checkpoint[selected.left] : null],
    ["in the network", selected.right >= 0 ? keys.model[selected.right] : null],
  ];
  return [title, ...sides.filter(([, key]) => key !== null).map(([name, key]) => wholeKey(view, name, key))];
}

const SHOWN_LETTERS = 300;

function wholeKey(view, name, key) {
  const line = element("p", "fact");
  const text = element("code");
  const whole = view.whole === key;
  fill(text, key === "" ? [["(the empty key)", "unseen"]] : [[key, ""]], whole ? Infinity : SHOWN_LETTERS);
  line.append(element("span", "name", name), text);
  if (key.length <= SHOWN_LETTERS || whole) return line;
  const act = () => view.guarded(() => {
    view.whole = key;
    drawPane(view);
  });
  line.append(button("link", `show all ${key.length.toLocaleString("en")} characters`, act));
  return line;
}

/* What Python says of the row; until it has, that it is being asked. */
function answers(view, details) {
  const box = element("div", "answers");
  box.setAttribute("aria-live", "polite");
  if (!details) {
    box.append(element("p", "waiting", "…"));
    return [box];
  }
  for (const text of details.says) box.append(element("p", "", visible(text)));
  if (details.way.length) box.append(way(details.way));
  if (details.candidates.length) box.append(candidates(view, details));
  if (details.by_hand) {
    const { left, right } = details;
    const alone = rowOf(view.rows, -1, right) >= 0 ? [-1, right] : [left, -1];
    box.append(button("small", "Back to the row", () => view.guarded(() => view.select(...alone))));
  }
  return [box];
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
  const list = element("div", "candidates");
  list.append(element("h4", "", details.wants));
  for (const each of details.candidates) {
    const line = element("p", "candidate");
    const act = () => view.guarded(() => {
      view.select(each.left, each.right, false);
      view.tell({ do: "pair", left: each.left, right: each.right });
    });
    const text = element("code");
    fill(text, [[each.key, ""]], 70);
    line.append(button("small", "Pair", act, "See what rule would pair them"), text, element("span", "says", visible(each.says)));
    list.append(line);
  }
  return list;
}

function offers(view, details) {
  const box = element("div", "offers");
  box.append(element("h4", "", details.offered));
  details.offers.forEach((each, number) => {
    const card = element("div", "card");
    const act = () => view.guarded(() => view.tell({ do: "take", offer: number, left: details.left, right: details.right }));
    card.append(button(`offer ${number ? "" : "first"}`, visible(each.does), act));
    const rules = element("p", "rules");
    for (const rule of each.rules) rules.append(fill(element("code"), [[rule, ""]], 160));
    card.append(rules);
    for (const [before, after] of each.examples) {
      const line = element("p", "example");
      const [ours, theirs] = compared(before, after, "cut", "new");
      line.append(fill(element("code"), ours, 80), ` ${ARROW} `, fill(element("code"), theirs, 80));
      card.append(line);
    }
    const then = element("p", "then", each.then);
    if (each.verdict === "complete") then.append(element("b", "", " · then complete"));
    card.append(then);
    for (const note of each.notes) card.append(element("p", "says", visible(note)));
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
