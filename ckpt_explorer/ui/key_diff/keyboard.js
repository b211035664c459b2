/* What a person does: keys, clicks, drags, typing. */

function listen(view) {
  const { grid, port, query, map } = view.dom;
  const on = (target, event, act, options) => target.addEventListener(event, (happened) => view.guarded(() => act(happened)), options);

  on(port, "scroll", () => view.draw(), { passive: true });
  on(grid, "keydown", (event) => gridKey(view, event));
  view.slashed = (event) => {
    const inside = event.composedPath()[0];
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || !grid.getClientRects().length) return;
    if (inside instanceof Element && inside.matches("input:not([type=checkbox]), textarea, select, [contenteditable]")) return;
    event.preventDefault();
    query.focus();
    query.select();
  };
  document.addEventListener("keydown", view.slashed);

  let pending = 0;
  on(query, "input", () => {
    view.query = query.value;
    cancelAnimationFrame(pending);
    pending = requestAnimationFrame(() => view.guarded(() => view.search()));
  });
  on(query, "keydown", (event) => {
    if (event.key === "Enter") view.step(event.shiftKey ? -1 : 1);
    else if (event.key === "ArrowDown") focusGrid(view);
    else if (event.key === "Escape") {
      if (query.value) {
        query.value = view.query = "";
        view.search();
      } else focusGrid(view);
    } else return;
    event.preventDefault();
    event.stopPropagation();
  });

  on(port, "click", (event) => {
    const at = lineAt(event);
    if (at < 0) return;
    const line = view.lines[at];
    const folds = line.kind === GROUP || event.target.closest(".fold");
    view.focus(at);
    if (folds) view.fold(at, !line.open);
    else choose(view, line);
  });
  on(port, "dragstart", (event) => {
    const line = view.lines[lineAt(event)];
    if (!line || line.kind === GROUP) return event.preventDefault();
    view.dragged = line.row;
    event.dataTransfer.setData("text/plain", "");
    event.dataTransfer.effectAllowed = "link";
    return undefined;
  });
  on(port, "dragover", (event) => {
    const line = view.lines[lineAt(event)];
    if (view.dragged === undefined || !line || line.kind === GROUP || !pairOf(view.rows, view.dragged, line.row)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "link";
    for (const drawn of view.drawn.values()) drawn.classList.toggle("target", Number(drawn.dataset.at) === lineAt(event));
  });
  on(port, "drop", (event) => {
    const line = view.lines[lineAt(event)];
    event.preventDefault();
    if (line && line.kind !== GROUP) pair(view, view.dragged, line.row);
  });
  on(port, "dragend", () => {
    view.dragged = undefined;
    for (const drawn of view.drawn.values()) drawn.classList.remove("target");
  });

  const go = (event) => {
    const box = map.getBoundingClientRect();
    const share = (event.clientY - box.top) / mapHeight(view);
    port.scrollTop = share * view.lines.length * view.height - port.clientHeight / 2;
  };
  on(map, "pointerdown", (event) => {
    map.setPointerCapture(event.pointerId);
    go(event);
  });
  on(map, "pointermove", (event) => {
    if (event.buttons) go(event);
  });
}

const lineAt = (event) => {
  const line = event.target.closest?.(".line");
  return line ? Number(line.dataset.at) : -1;
};

const focusGrid = (view) => view.focus(Math.max(0, view.focusedAt()));

function gridKey(view, event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const at = view.focusedAt();
  const line = view.lines[at];
  if (!line) return;
  const page = Math.max(1, Math.floor(view.dom.port.clientHeight / view.height) - 1);
  const last = view.lines.length - 1;
  const moves = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + page, PageUp: at - page, Home: 0, End: last };
  const key = event.key;
  if (key in moves) view.focus(Math.min(last, Math.max(0, moves[key])));
  else if (key === "ArrowRight") {
    if (line.kind !== ROW && !line.open) view.fold(at, true);
    else if (line.kind !== ROW) view.focus(at + 1);
  } else if (key === "ArrowLeft") {
    if (line.kind !== ROW && line.open) view.fold(at, false);
    else view.focus(parentOf(view.lines, at));
  } else if (key === "Enter" || key === " ") {
    if (line.kind === GROUP) view.fold(at, !line.open);
    else if (view.isSelected(line) && !view.pairing) focusPane(view);
    else choose(view, line);
  } else if (key === "p" && line.kind !== GROUP) startPairing(view, line.row);
  else if (key === "n" || key === "N") nextTrouble(view, key === "n" ? 1 : -1);
  else if (key === "c" && line.kind !== GROUP) copy(view, view.rows.checkpoint(line.row) ?? view.rows.model(line.row), "the key");
  else if (key === "Escape") {
    if (view.pairing) stopPairing(view);
    else if (isFiltered(view)) clearFilter(view);
  } else return;
  event.preventDefault();
  event.stopPropagation();
}

function parentOf(lines, at) {
  for (let above = at - 1; above >= 0; above--) if (lines[above].level < lines[at].level) return above;
  return at;
}

function choose(view, line) {
  const { rows } = view;
  if (view.pairing) {
    const { row } = view.pairing;
    stopPairing(view);
    pair(view, row, line.row);
    return;
  }
  const others = line.kind === RUN ? line.run.rows.length - 1 : 0;
  view.select(rows.left[line.row], rows.right[line.row], true, line.kind, others);
}

/* The next line behind the focused one that is not well; what is folded is opened for it. */
function nextTrouble(view, by) {
  const order = arranged(view.rows).filter((each) => each.kind !== "ignored").flatMap((each) => each.rows);
  const line = view.lines[view.focusedAt()];
  const from = line.kind === GROUP ? order.indexOf(line.group.rows[0]) - (by > 0 ? 1 : 0) : order.indexOf(line.row);
  for (let step = 1; step <= order.length; step++) {
    const row = order[(from + by * step + order.length * 2) % order.length];
    if (!view.rows.trouble(row)) continue;
    const at = view.reveal(view.rows.left[row], view.rows.right[row]);
    if (at >= 0) view.focus(at);
    return;
  }
}

/* ---------------------------------------------------------------- pairing */

/* The pair that two rows make: the file's key of one, the network's of the other; null where they make none. */
function pairOf(rows, one, other) {
  if (one === other) return null;
  const lone = (row) => (rows.left[row] < 0 ? "model" : rows.right[row] < 0 ? "file" : "both");
  let [from, to] = [one, other];
  if (lone(from) === "model" || lone(to) === "file") [from, to] = [to, from];
  if (rows.left[from] < 0 || rows.right[to] < 0) return null;
  return { left: rows.left[from], right: rows.right[to] };
}

function pair(view, one, other) {
  const made = pairOf(view.rows, one, other);
  if (!made) return;
  view.select(made.left, made.right, false);
  view.tell({ do: "pair", ...made });
}

function startPairing(view, row) {
  const { rows } = view;
  view.pairing = { row };
  view.partners = (other) => pairOf(rows, row, other) !== null && rows.trouble(other);
  const shape = (each) => String(rows.left[row] < 0 ? rows.checkpointShape(each) : rows.modelShape(each));
  const own = String(rows.left[row] < 0 ? rows.modelShape(row) : rows.checkpointShape(row));
  view.partnerLike = (other) => shape(other) === own;
  view.place_before = view.topAnchor();
  drawBanner(view);
  view.relined();
  const first = view.lines.findIndex((line) => line.kind === ROW && view.partnerLike(line.row));
  view.focus(first >= 0 ? first : 0);
}

function stopPairing(view) {
  const { row } = view.pairing;
  view.pairing = view.partners = view.partnerLike = null;
  drawBanner(view);
  view.relined(view.place_before);
  const at = view.reveal(view.rows.left[row], view.rows.right[row]);
  if (at >= 0) view.focus(at);
}
