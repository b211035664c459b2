/* The grid on the screen: a bar with the legend and the search, the lines that are in sight, the minimap, the pane. */

/* What must outlive a visit to another page, by the name of the keys: folds, filter, search, place. */
const remembered = new Map();

function freshState() {
  return {
    folds: new Map(),
    unfolded: new Set(),
    filter: new Set(),
    query: "",
    isExpression: false,
    onlyHits: false,
    selected: null,
    focused: null,
    top: null,
    seek: 0,
  };
}

/* Milliseconds after which a message that should have come with the others is asked for. */
const MILLISECONDS_TO_COME = 250;

class View {
  constructor(root) {
    this.dom = buildFrame(root.querySelector(".diff"), this);
    this.root = root;
    this.lines = [];
    this.drawn = new Map();
    this.hits = NO_HITS;
    this.finds = null;
    this.at = -1;
    this.partners = this.partnerLike = this.pairing = null;
    this.rows = null;
    this.base = null;
    Object.assign(this, freshState());
    this.reader = () => this.guarded(() => this.take());
    shelf.readers.add(this.reader);
    this.sizes = new ResizeObserver(() => this.guarded(() => this.measured()));
    this.sizes.observe(this.dom.port);
    this.sizes.observe(this.dom.probe);
    listen(this);
  }

  close() {
    clearTimeout(this.lacking);
    document.removeEventListener("keydown", this.slashed);
    shelf.readers.delete(this.reader);
    this.sizes.disconnect();
    this.keep();
  }

  /* A mistake of ours must not look like a fault of the file: say so, and what can be done. */
  guarded(act) {
    try {
      return act();
    } catch (error) {
      console.error(error);
      this.dom.broken.hidden = false;
      this.dom.broken.textContent = `The key diff failed (${visible(String(error)).slice(0, 300)}). Reload the page: rules are kept by the app, not by this view.`;
      return undefined;
    }
  }

  keep() {
    if (!this.base) return;
    const state = {};
    for (const name of Object.keys(freshState())) state[name] = this[name];
    state.top = this.topAnchor();
    remembered.delete(this.base);
    remembered.set(this.base, state);
    if (remembered.size > 8) remembered.delete(remembered.keys().next().value);
  }

  recall(base) {
    this.keep();
    this.base = base;
    Object.assign(this, freshState(), remembered.get(base) || {});
    this.dom.query.value = this.query;
    this.dom.expression.setAttribute("aria-pressed", String(this.isExpression));
    this.dom.only.setAttribute("aria-pressed", String(this.onlyHits));
  }

  /* New data from Python: drawn as soon as both messages that it names have come. */
  show(data) {
    this.data = data;
    this.take();
    clearTimeout(this.lacking);
    this.lacking = setTimeout(() => this.lacks(), MILLISECONDS_TO_COME);
  }

  /* A message that was sent before, says the other side, and is not here: ask for it. */
  lacks() {
    const lacked = [this.data.base, this.data.state].filter((name) => !shelf.parts.has(name));
    if (lacked.length) this.c.setTriggerValue("lacked", lacked);
  }

  take() {
    const { data } = this;
    const base = shelf.parts.get(data?.base);
    const state = shelf.parts.get(data?.state);
    if (!base || !state) return;
    const same = this.base === data.base;
    const anchor = same ? this.topAnchor() : null;
    if (!same) this.recall(data.base);
    const rows = readRows(readKeys(base), state);
    const changed = rows !== this.rows;
    this.rows = rows;
    if (changed) {
      this.search(false);
      this.dom.model.textContent = visible(data.network || "the network");
      drawLegend(this, rows);
      this.relined(anchor || this.top, same);
    }
    drawBanner(this);
    this.adopt(data);
    drawPane(this);
    if (data.selected && data.selected.seek > this.seek) {
      this.seek = data.selected.seek;
      this.select(data.selected.left, data.selected.right, false);
      this.reveal(data.selected.left, data.selected.right);
    }
  }

  /* What is selected, at the first sight of these keys. */
  adopt({ selected }) {
    if (this.selected || !selected) return;
    this.selected = { left: selected.left, right: selected.right, kind: ROW, others: 0 };
    this.marked();
  }

  /* ------------------------------------------------------------------ lines */

  relined(anchor = this.topAnchor(), keepPlace = true) {
    this.lines = linesOf(this, this.rows);
    for (const drawn of this.drawn.values()) drawn.remove();
    this.drawn.clear();
    this.dom.grid.setAttribute("aria-rowcount", String(this.lines.length + 1));
    this.dom.empty.hidden = this.lines.length > 0;
    this.place();
    if (anchor) {
      const at = findLine(this.rows, this.lines, anchor);
      if (at >= 0) this.dom.port.scrollTop = Math.max(0, at * this.height + (keepPlace ? anchor.offset || 0 : 0));
    }
    this.draw();
    drawMinimap(this, this.rows, this.lines);
  }

  place() {
    const { probe, port, space } = this.dom;
    const box = probe.getBoundingClientRect();
    this.height = Math.max(12, Math.round(box.height));
    this.letter = Math.max(4, box.width / 20);
    port.style.setProperty("--row", `${this.height}px`);
    space.style.height = `${this.lines.length * this.height}px`;
    const width = port.clientWidth;
    this.room = roomFor(this, width);
  }

  measured() {
    if (!this.rows) return;
    const anchor = this.topAnchor();
    const before = [this.height, this.room.left, this.room.right].join();
    this.place();
    if (before !== [this.height, this.room.left, this.room.right].join()) {
      for (const drawn of this.drawn.values()) drawn.remove();
      this.drawn.clear();
      if (anchor) this.dom.port.scrollTop = findLine(this.rows, this.lines, anchor) * this.height + anchor.offset;
    }
    this.draw();
    drawMinimap(this, this.rows, this.lines);
  }

  draw() {
    const { port, space } = this.dom;
    const first = Math.max(0, Math.floor(port.scrollTop / this.height) - 6);
    const last = Math.min(this.lines.length, Math.ceil((port.scrollTop + port.clientHeight) / this.height) + 6);
    for (const [at, drawn] of this.drawn) {
      if (at >= first && at < last) continue;
      if (drawn === this.root.activeElement) this.dom.port.focus({ preventScroll: true });
      drawn.remove();
      this.drawn.delete(at);
    }
    const fresh = document.createDocumentFragment();
    for (let at = first; at < last; at++) {
      if (this.drawn.has(at)) continue;
      const made = this.made(at);
      this.drawn.set(at, made);
      fresh.append(made);
    }
    space.append(fresh);
    this.marked();
    const scale = mapHeight(this) / (this.lines.length * this.height || 1);
    this.dom.look.style.top = `${port.scrollTop * scale}px`;
    this.dom.look.style.height = `${Math.min(mapHeight(this), port.clientHeight * scale)}px`;
  }

  made(at) {
    const line = this.lines[at];
    const made = line.kind === GROUP ? groupLine(this, this.rows, line) : rowLine(this, this.rows, line, this.room);
    made.style.top = `${at * this.height}px`;
    made.dataset.at = at;
    made.setAttribute("role", "row");
    made.setAttribute("aria-rowindex", String(at + 2));
    made.setAttribute("aria-level", String(line.level));
    if (line.kind !== ROW) made.setAttribute("aria-expanded", String(line.open));
    if (line.kind !== GROUP) made.draggable = true;
    made.tabIndex = -1;
    return made;
  }

  /* Focus, selection and hits on the lines in sight, without drawing them anew. */
  marked() {
    const focused = this.focusedAt();
    const current = this.at >= 0 ? this.hits.rows[this.at] : -1;
    for (const [at, drawn] of this.drawn) {
      const line = this.lines[at];
      const selected = line.kind !== GROUP && this.isSelected(line);
      drawn.classList.toggle("selected", selected);
      if (line.kind !== GROUP) drawn.setAttribute("aria-selected", String(selected));
      drawn.classList.toggle("found", line.kind !== GROUP && holdsHit(this, line));
      drawn.classList.toggle("current", line.kind === ROW && line.row === current);
      drawn.tabIndex = at === focused ? 0 : -1;
    }
    this.dom.port.tabIndex = this.drawn.has(focused) ? -1 : 0;
  }

  isSelected(line) {
    const { selected, rows } = this;
    if (!selected) return false;
    const hit = rows.left[line.row] === selected.left && rows.right[line.row] === selected.right;
    return hit && (line.kind === RUN) === (selected.kind === RUN);
  }

  /* ------------------------------------------------------------------ places */

  topAnchor() {
    if (!this.rows || !this.lines.length) return null;
    const { scrollTop } = this.dom.port;
    const at = Math.min(this.lines.length - 1, Math.floor(scrollTop / this.height));
    return { ...anchorOf(this.rows, this.lines[at]), offset: scrollTop - at * this.height };
  }

  focusedAt() {
    const at = this.focused ? this.cached(this.focused) : -1;
    return at < 0 && this.lines.length ? 0 : at;
  }

  cached(anchor) {
    if (anchor.lines !== this.lines) {
      anchor.place = findLine(this.rows, this.lines, anchor);
      Object.defineProperty(anchor, "lines", { value: this.lines, enumerable: false, writable: true, configurable: true });
    }
    return anchor.place;
  }

  focus(at, grab = true) {
    if (at < 0 || at >= this.lines.length) return;
    this.focused = anchorOf(this.rows, this.lines[at]);
    this.inSight(at);
    this.draw();
    if (grab) this.drawn.get(at)?.focus({ preventScroll: true });
  }

  inSight(at) {
    const { port } = this.dom;
    const top = at * this.height;
    if (top < port.scrollTop) port.scrollTop = top;
    else if (top + this.height > port.scrollTop + port.clientHeight) port.scrollTop = top + this.height - port.clientHeight;
  }

  /* The line of the selected row, if it is in sight; -1 if not. */
  seenAt(selected) {
    const { port } = this.dom;
    const at = findLine(this.rows, this.lines, selected);
    const top = at * this.height - port.scrollTop;
    return at >= 0 && top >= 0 && top < port.clientHeight ? at : -1;
  }

  /* Open what hides a row, and bring it to the middle. */
  reveal(left, right) {
    const row = rowOf(this.rows, left, right);
    if (row < 0) return -1;
    if (isFiltered(this) && !passes(this, this.rows, row)) clearFilter(this);
    const home = arranged(this.rows).find((each) => each.rows.includes(row));
    if (!home) return -1;
    let stale = false;
    if (!isOpen(this, home)) {
      this.folds.set(foldKey(this, home), true);
      stale = true;
    }
    itemsOf(this.rows, home);
    const run = home.runOf.get(row);
    if (run && !this.unfolded.has(run.key) && !this.onlyHits) {
      this.unfolded.add(run.key);
      stale = true;
    }
    if (stale) this.relined();
    const at = findLine(this.rows, this.lines, { kind: ROW, left, right });
    const top = at * this.height;
    const { port } = this.dom;
    if (top < port.scrollTop || top + 2 * this.height > port.scrollTop + port.clientHeight)
      port.scrollTop = Math.max(0, top - Math.floor(port.clientHeight / 3));
    this.focused = anchorOf(this.rows, this.lines[at]);
    this.draw();
    return at;
  }

  fold(at, open) {
    const line = this.lines[at];
    if (line.kind === GROUP) this.folds.set(foldKey(this, line.group), open);
    else if (open) this.unfolded.add(line.run.key);
    else this.unfolded.delete(line.run.key);
    const hadFocus = this.dom.grid.contains(this.root.activeElement);
    this.relined();
    if (hadFocus) this.focus(at);
  }

  /* The rows that the filter and the search leave, in the order of the screen. */
  shownRows() {
    const shown = arranged(this.rows).flatMap((each) => each.rows);
    return isFiltered(this) ? shown.filter((row) => passes(this, this.rows, row)) : shown;
  }

  /* ------------------------------------------------------------------ selection, search */

  select(left, right, tell = true, kind = ROW, others = 0) {
    this.selected = { left, right, kind, others };
    this.marked();
    drawPane(this);
    if (tell) this.tell({ do: "select", left, right });
  }

  tell(what) {
    this.c.setTriggerValue("asked", { base: this.data.base, state: this.data.state, ...what });
  }

  search(jump = true) {
    const { query, isExpression, rows } = this;
    this.finds = findsOf(query, isExpression);
    if (!query.trim()) return this.found(NO_HITS, false);
    if (isExpression) return expressionHits(rows, query, (hits) => this.guarded(() => this.found(hits, jump)));
    return this.found(plainHits(rows, query), jump);
  }

  found(hits, jump) {
    this.hits = hits;
    this.at = -1;
    if (!jump) return;
    if (hits === NO_HITS || !hits.rows.length) this.onlyHits = this.onlyHits && hits.rows.length > 0;
    this.relined();
    if (hits.rows.length) this.step(1);
    drawCounter(this);
  }

  step(by) {
    const count = this.hits.rows.length;
    if (!count) return;
    this.at = this.at < 0 ? (by > 0 ? 0 : count - 1) : (this.at + by + count) % count;
    const row = this.hits.rows[this.at];
    this.reveal(this.rows.left[row], this.rows.right[row]);
    this.marked();
    drawCounter(this);
  }
}

/* Letters that fit into the two columns of keys. The columns are those of the style sheet. */
function roomFor(view, width) {
  const { head } = view.dom;
  const cells = [...head.children].map((each) => each.getBoundingClientRect().width);
  const letters = (pixels) => Math.max(12, Math.floor((pixels - 4) / view.letter));
  return { left: letters(cells[1]), right: letters(cells[2]), width };
}
