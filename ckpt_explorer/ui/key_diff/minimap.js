/* The minimap: all lines in the height of the grid, each in the colour of its status, the worst of those that share a
   pixel; where one looks, and where the hits are. */

const WEIGHTS = { mismatch: 5, missing: 4, unexpected: 3, adapted: 2, matched: 1, ignored: 0 };

function drawMinimap(view, rows, lines) {
  const { map, hits } = view.dom;
  const height = mapHeight(view);
  const pixels = Math.min(height, Math.max(lines.length * 3, 1), 600);
  const worst = new Array(pixels).fill("");
  const found = new Uint8Array(pixels);
  lines.forEach((line, at) => {
    const from = Math.floor((at * pixels) / lines.length);
    const to = Math.max(from + 1, Math.floor(((at + 1) * pixels) / lines.length));
    const kind = statusOf(rows, line);
    const hit = view.hits.rows.length > 0 && holdsHit(view, line);
    for (let pixel = from; pixel < to && pixel < pixels; pixel++) {
      if (!worst[pixel] || WEIGHTS[kind] > WEIGHTS[worst[pixel]]) worst[pixel] = kind;
      if (hit) found[pixel] = 1;
    }
  });
  map.style.backgroundSize = `100% ${height}px`;
  hits.style.height = `${height}px`;
  map.style.backgroundImage = stripes(worst.map((kind) => (kind ? `var(--${kind})` : "transparent")));
  hits.style.backgroundImage = stripes(Array.from(found, (hit) => (hit ? "var(--accent)" : "transparent")));
}

/* As high as the grid; of few lines only as high as they are. */
const mapHeight = (view) => Math.max(1, Math.min(view.dom.map.clientHeight, view.lines.length * view.height));

function statusOf(rows, line) {
  if (line.kind !== GROUP) return rows.harmless(line.row) ? "ignored" : STATUS_CLASSES[rows.code(line.row)];
  if (line.open) return "ignored";
  const { group } = line;
  const code = WORST_FIRST.find((each) => group.counts[each] > (each === MISSING ? group.harmless : 0));
  return code === undefined ? "ignored" : STATUS_CLASSES[code];
}

function holdsHit(view, line) {
  if (line.kind === ROW) return view.hits.is(line.row);
  if (line.open) return false;
  return (line.kind === RUN ? line.run : line.group).rows.some((row) => view.hits.is(row));
}

function stripes(colours) {
  const parts = [];
  const share = 100 / colours.length;
  for (let at = 0; at < colours.length; ) {
    let end = at + 1;
    while (end < colours.length && colours[end] === colours[at]) end++;
    parts.push(`${colours[at]} ${(at * share).toFixed(2)}% ${(end * share).toFixed(2)}%`);
    at = end;
  }
  return `linear-gradient(to bottom, ${parts.join(", ")})`;
}
