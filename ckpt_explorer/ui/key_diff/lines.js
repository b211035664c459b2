/* What is to be seen: lines one below the other, from the groups, the folds, the filter and the hits of a search. */

const GROUP = 0;
const RUN = 1;
const ROW = 2;

/* How a group is at first: closed where all is well, open where something is not; with a filter all are open. */
function isOpen(view, each) {
  const chosen = view.folds.get(foldKey(view, each));
  if (chosen !== undefined) return chosen;
  if (isFiltered(view)) return true;
  return each.trouble > 0 && each.kind !== "ignored";
}

const isFiltered = (view) => view.filter.size > 0 || view.onlyHits || view.partners !== null;
const foldKey = (view, each) => `${isFiltered(view) ? "filtered" : "all"} ${each.kind} ${each.label}`;

function passes(view, rows, row) {
  if (view.partners !== null && !view.partners(row)) return false;
  if (view.filter.size && !view.filter.has(rows.code(row))) return false;
  return !view.onlyHits || view.hits.is(row);
}

/* {kind, group, run, row, level} for every line, and where each row stands. */
function linesOf(view, rows) {
  const lines = [];
  const filtered = isFiltered(view);
  const single = view.onlyHits || view.partners !== null;
  for (const each of arranged(rows)) {
    const members = filtered ? each.rows.filter((row) => passes(view, rows, row)) : each.rows;
    if (!members.length) continue;
    const open = isOpen(view, each);
    lines.push({ kind: GROUP, group: each, open, shown: members.length, level: 1 });
    if (!open) continue;
    if (single) {
      for (const row of members) lines.push({ kind: ROW, group: each, row, level: 2 });
      continue;
    }
    for (const item of itemsOf(rows, each)) {
      if (typeof item === "number") {
        if (!filtered || passes(view, rows, item)) lines.push({ kind: ROW, group: each, row: item, level: 2 });
        continue;
      }
      if (filtered && !passes(view, rows, item.rows[0])) continue;
      const opened = view.unfolded.has(item.key);
      lines.push({ kind: RUN, group: each, run: item, row: item.rows[0], open: opened, level: 2 });
      if (opened) for (const row of item.rows) lines.push({ kind: ROW, group: each, run: item, row, level: 3 });
    }
  }
  return lines;
}

/* What a line is called, whatever its number: for the place on the screen, the focus and the selection. */
function lineName(rows, line) {
  if (line.kind === GROUP) return `group ${line.group.kind} ${line.group.label}`;
  return `${line.kind === RUN ? "run" : "row"} ${identity(rows, line.row)}`;
}

/* Where a line is now; where it is gone, the one that holds it: its run, or its group. */
function findLine(rows, lines, anchor) {
  if (!anchor) return -1;
  let run = -1;
  let group = -1;
  let near = -1;
  const row = anchor.left === undefined ? -1 : rowOf(rows, anchor.left, anchor.right);
  const home = row < 0 ? null : arranged(rows).find((each) => each.rows.includes(row));
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at];
    if (line.kind === GROUP) {
      if (lineName(rows, line) === anchor.name || line.group === home) group = at;
    } else if (line.kind === ROW && line.row === row) {
      if (anchor.kind !== RUN || !line.run) return at;
      near = at;
    } else if (line.kind === RUN && row >= 0 && line.run.rows.includes(row)) {
      if (anchor.kind === RUN || !line.open) return at;
      run = at;
    }
  }
  return near >= 0 ? near : run >= 0 ? run : group;
}

function anchorOf(rows, line) {
  const anchor = { kind: line.kind, name: lineName(rows, line) };
  if (line.kind !== GROUP) Object.assign(anchor, { left: rows.left[line.row], right: rows.right[line.row] });
  return anchor;
}
