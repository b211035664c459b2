/* One line of the grid as an element. */

const ARROW = "→";

/* Put pieces into a cell, safe to look at, cut in the middle to the room there is, with the words searched for marked. */
function fill(cell, pieces, room, finds) {
  const shown = elided(seen(pieces), room);
  for (const [text, mark] of finds ? highlighted(shown, finds) : shown) cell.append(mark ? element("span", mark, text) : text);
  return cell;
}

function highlighted(pieces, finds) {
  return pieces.flatMap(([text, mark]) => {
    const cut = [];
    let from = 0;
    for (const [start, end] of finds(text)) {
      if (start < from || end <= start) continue;
      if (start > from) cut.push([text.slice(from, start), mark]);
      cut.push([text.slice(start, end), mark ? mark + " hit" : "hit"]);
      from = end;
    }
    if (from < text.length) cut.push([text.slice(from), mark]);
    return cut;
  });
}

function cell(className) {
  const made = element("span", "cell " + className);
  made.setAttribute("role", "gridcell");
  return made;
}

function groupLine(view, rows, line) {
  const { group } = line;
  const row = element("div", "line group");
  const name = cell("name");
  name.append(element("span", "fold", line.open ? "▾" : "▸"));
  const label = element("b", "", "");
  const title = { part: group.label || "all", stranger: group.label || "all", ignored: group.label }[group.kind];
  fill(label, [[title, ""]], 60);
  name.append(label);
  const says = [];
  if (group.kind === "stranger") says.push("not in the network");
  if (group.numbers > 1) says.push(`${group.numbers} ${view.data.parts}`);
  if (group.kind === "part") says.push(`${group.filled.toLocaleString("en")} of ${group.wanted.toLocaleString("en")} filled`);
  if (group.kind === "ignored") says.push("as the rules say");
  if (isFiltered(view)) says.push(`${counted(line.shown, "row")} shown`);
  name.append(element("span", "says", says.join(" · ")));
  const counts = element("span", "counts");
  for (const code of [...WORST_FIRST].reverse()) {
    const count = group.counts[code];
    if (!count) continue;
    const quiet = code === MISSING && group.harmless === count;
    const tag = element("span", `tally ${quiet ? "ignored" : STATUS_CLASSES[code]}`);
    tag.append(element("span", "symbol", rows.words[code][0]), " " + count.toLocaleString("en"));
    tag.title = `${count.toLocaleString("en")} ${rows.words[code][1]}`;
    counts.append(tag);
  }
  name.append(counts);
  row.append(name);
  row.setAttribute("aria-label", visible([title, ...says, ...[...counts.children].map((tally) => tally.title)].join(", ")));
  return row;
}

function rowLine(view, rows, line, room) {
  const { row } = line;
  const code = rows.code(row);
  const made = element("div", `line ${line.kind === RUN ? "run" : "row"} level${line.level}`);
  if (rows.lit && rows.lit[row]) made.classList.add("lit");
  if (view.partnerLike && !view.partnerLike(row)) made.classList.add("unlike");
  const several = line.kind === RUN ? line.run.rows : null;

  const status = cell(`status ${rows.harmless(row) ? "ignored" : STATUS_CLASSES[code]}`);
  if (line.kind === RUN) status.append(element("span", "fold", line.open ? "▾" : "▸"));
  const symbol = element("span", "symbol", rows.words[code][0]);
  status.append(symbol, element("span", "word", several ? `${several.length} ${short(code)}` : short(code)));
  status.title = rows.words[code][1] + (rows.note(row) ? ": " + rows.note(row) : "");
  made.append(status);

  const [ours, theirs] = keyPieces(rows, row, several);
  const left = cell("key");
  const right = cell("key");
  fillKey(left, ours, rows.left[row] >= 0, room.left, view.finds, "not in the file");
  fillKey(right, theirs, rows.right[row] >= 0, room.right, view.finds, "no such key");
  made.append(left, right);

  made.append(shapeCell(rows, row), typeCell(rows, row));
  const rule = cell("rule");
  if (rows.rule[row]) {
    rule.textContent = String(rows.rule[row]);
    rule.title = `rule ${rows.rule[row]} touched it last`;
  }
  made.append(rule);
  made.setAttribute("aria-label", spoken(rows, row, several, ours, theirs, made));
  return made;
}

/* The whole row in words: what is cut on the screen is not cut here. */
function spoken(rows, row, several, ours, theirs, made) {
  const whole = (pieces, absent) => (pieces ? visible(pieces.map(([text]) => text).join("").slice(0, 400)) || "(the empty key)" : absent);
  const status = `${several ? several.length + " " : ""}${rows.words[rows.code(row)][1]}`;
  const shape = made.querySelector(".shape").title;
  return `${status}; in the file: ${whole(ours, "nothing")}; in the network: ${whole(theirs, "nothing")}; shape ${shape}`;
}

/* The status in a column that has room for one word. */
const SHORT = ["matched", "adapted", "shape", "missing", "unexpected", "left out"];
const short = (code) => SHORT[code];

/* What stands on both sides: marked where they differ; a key without a place with what the rules made of it. */
function keyPieces(rows, row, several) {
  const text = (of) => (several ? writtenOnce(several.map(of)) : of(row));
  const ours = rows.left[row] < 0 ? null : text(rows.checkpoint);
  const theirs = rows.right[row] < 0 ? null : text(rows.model);
  if (ours !== null && theirs !== null) {
    const pieces = compared(ours, theirs, "cut", "new");
    if (rows.wasRenamed(row)) pieces[0].push([` ${ARROW} ${text(rows.renamed)}`, "faint"]);
    return pieces;
  }
  if (ours === null) return [null, theirs === null ? null : [[theirs, ""]]];
  const renamed = text(rows.renamed);
  if (renamed === null || renamed === ours) return [[[ours, ""]], null];
  const [before, after] = compared(ours, renamed, "cut", "new");
  return [before, [[`${ARROW} `, "faint"], ...after]];
}

function fillKey(made, pieces, isThere, room, finds, absent) {
  if (pieces === null) {
    made.classList.add("none");
    made.textContent = absent;
    return;
  }
  const whole = pieces.map(([text]) => text).join("");
  if (!whole) {
    made.append(element("span", "unseen", "(the empty key)"));
    return;
  }
  if (!isThere) made.classList.add("none");
  fill(made, pieces, room, finds);
  if (whole.length > room) made.title = visible(whole.slice(0, 1000));
}

const asShape = (sizes) => (sizes.length ? sizes.join(", ") : "scalar");

/* Of two shapes what differs between them: there is no room for the rest, which is in the pane and the tooltip. */
function shapeCell(rows, row) {
  const made = cell("shape");
  const ours = rows.checkpointShape(row);
  const theirs = rows.modelShape(row);
  const both = ours && theirs;
  const same = both && ours.length === theirs.length && ours.every((size, at) => size === theirs[at]);
  if (!both || same) fill(made, shapePieces(ours || theirs || [], null, ""), 60);
  else {
    const [front, back] = ours.length === theirs.length ? sharedEnds(ours, theirs) : [0, 0];
    const part = (shape) => shape.slice(front, shape.length - back);
    if (front) made.append("…");
    fill(made, shapePieces(part(ours), part(theirs), "cut", ","), 40);
    made.append(" ≠ ");
    fill(made, shapePieces(part(theirs), part(ours), "new", ","), 40);
    if (back) made.append("…");
  }
  made.title = same || !both ? made.textContent : `${asShape(ours)} in the file ≠ ${asShape(theirs)} in the network`;
  return made;
}

function typeCell(rows, row) {
  const ours = rows.checkpointType(row);
  const theirs = rows.modelType(row);
  const made = cell("type");
  made.textContent = ours && theirs && ours !== theirs ? `${ours} ${ARROW} ${theirs}` : ours || theirs || "";
  made.title = made.textContent;
  return made;
}
