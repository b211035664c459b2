/* What stands around the lines: legend, search, banner, minimap and pane. */

function buildFrame(diff, view) {
  const dom = { diff };
  for (const name of ["bar", "legend", "find", "banner", "broken", "main", "grid", "head", "port", "space", "probe", "empty", "map", "hits", "look", "pane", "model"])
    dom[name] = diff.querySelector("." + name);
  const query = element("input", "query");
  query.type = "search";
  query.placeholder = "Search keys  ( / )";
  query.setAttribute("aria-label", "Search keys");
  query.spellcheck = false;
  const toggle = (label, title, act) => {
    const made = button("toggle", label, act, title);
    made.setAttribute("aria-pressed", "false");
    return made;
  };
  dom.query = query;
  dom.expression = toggle(".*", "The search is a regular expression", () => {
    view.isExpression = !view.isExpression;
    dom.expression.setAttribute("aria-pressed", String(view.isExpression));
    view.guarded(() => view.search());
  });
  dom.only = toggle("only hits", "Show nothing but what was found", () => {
    view.onlyHits = !view.onlyHits && view.hits.rows.length > 0;
    dom.only.setAttribute("aria-pressed", String(view.onlyHits));
    view.guarded(() => view.relined());
  });
  dom.counter = element("span", "counter");
  dom.counter.setAttribute("role", "status");
  const before = button("step", "↑", () => view.step(-1), "Previous hit (Shift+Enter)");
  const next = button("step", "↓", () => view.step(1), "Next hit (Enter)");
  dom.find.append(query, dom.counter, before, next, dom.expression, dom.only);
  return dom;
}

function drawLegend(view, rows) {
  const { legend } = view.dom;
  const counts = new Array(STATUS_CLASSES.length).fill(0);
  for (let row = 0; row < rows.count; row++) counts[rows.code(row)]++;
  const before = legend.contains(view.root.activeElement) ? view.root.activeElement.dataset.code : undefined;
  legend.replaceChildren();
  const chip = (label, count, code, symbol) => {
    const on = code === "all" ? view.filter.size === 0 : view.filter.has(code);
    const made = button(`chip ${code === "all" ? "" : STATUS_CLASSES[code]}`, "", () => view.guarded(() => filterBy(view, code)));
    made.dataset.code = String(code);
    made.setAttribute("aria-pressed", String(on));
    if (symbol) made.append(element("span", "symbol", symbol));
    made.append(element("span", "", label), element("b", "", count.toLocaleString("en")));
    if (rows.was && code !== "all" && rows.was[code] !== count) made.append(element("span", "was", `now ${rows.was[code].toLocaleString("en")}`));
    legend.append(made);
  };
  chip("all", rows.count, "all", "");
  counts.forEach((count, code) => {
    if (count || view.filter.has(code) || (rows.was && rows.was[code])) chip(rows.words[code][1], count, code, rows.words[code][0]);
  });
  if (before !== undefined) legend.querySelector(`[data-code="${before}"]`)?.focus();
}

function filterBy(view, code) {
  if (code === "all") view.filter.clear();
  else if (view.filter.has(code)) view.filter.delete(code);
  else view.filter.add(code);
  drawLegend(view, view.rows);
  view.relined();
}

function clearFilter(view) {
  view.filter.clear();
  view.onlyHits = false;
  view.dom.only.setAttribute("aria-pressed", "false");
  drawLegend(view, view.rows);
  view.relined();
}

function drawCounter(view) {
  const { counter, query } = view.dom;
  const { hits } = view;
  const count = hits.rows.length;
  query.setAttribute("aria-invalid", String(Boolean(hits.says)));
  counter.classList.toggle("wrong", Boolean(hits.says));
  if (hits.says) counter.textContent = visible(hits.says);
  else if (!view.query.trim()) counter.textContent = "";
  else counter.textContent = count ? `${(view.at + 1).toLocaleString("en")} of ${count.toLocaleString("en")}` : "nothing";
}

function drawBanner(view) {
  const { banner } = view.dom;
  const says = view.pairing
    ? "Choose the row to pair it with: Enter or click. Escape gives up."
    : view.data.preview
      ? "Preview of the rule that is being typed: rows that it touches are lit. Enter there makes it so, Escape gives it back."
      : "";
  banner.hidden = !says;
  banner.textContent = says;
  view.dom.diff.classList.toggle("preview", Boolean(view.data.preview));
}
