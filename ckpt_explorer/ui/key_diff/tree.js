/* The grid's tree: parts of the network, rows that are alike written once, and the lines that are to be seen. */

const FEW = 6;
const FEWEST_ALIKE = 3;
const MOST_PARTS = 40;
const DEEPEST = 12;

/* Names in parts, by the segments in which they begin to differ: [{path, label, at: positions}], in their order. */
function partsOf(names) {
  const parts = [];
  const numbered = (segments) => {
    const stems = new Set(segments.map((segment) => segment.replace(/\d+\.?$/, "")));
    return stems.size === 1 && segments.length > 1;
  };
  const split = (positions, path, level) => {
    const children = new Map();
    for (const at of positions) {
      const dot = names[at].indexOf(".", path.length);
      const segment = dot < 0 ? names[at].slice(path.length) : names[at].slice(path.length, dot + 1);
      const child = children.get(segment);
      if (child) child.push(at);
      else children.set(segment, [at]);
    }
    const segments = [...children.keys()];
    const deeper = segments.some((segment) => segment.endsWith("."));
    if (children.size === 1 && deeper && level < DEEPEST) return split(positions, path + segments[0], level + 1);
    const average = positions.length / children.size;
    const apart = numbered(segments)
      ? children.size <= 8 && average > 24
      : children.size <= MOST_PARTS && (positions.length > 30 || level === 0);
    if (!apart || !deeper || level >= DEEPEST) return parts.push({ paths: [path], at: positions });
    for (const [segment, at] of children) {
      if (at.length > 60 && segment.endsWith(".")) split(at, path + segment, level + 1);
      else parts.push({ paths: [path + segment], at });
    }
  };
  if (names.length) split(names.map((_, at) => at), "", 0);
  const merged = [];
  for (const part of parts) {
    const last = merged[merged.length - 1];
    if (last && last.at.length + part.at.length <= 4 * FEW && last.small && part.at.length <= FEW) {
      last.paths.push(...part.paths);
      last.at = last.at.concat(part.at);
    } else merged.push({ ...part, small: part.at.length <= FEW });
  }
  for (const part of merged) {
    const labels = part.paths.map((path) => path.replace(/\.$/, ""));
    part.label = labels.length > 3 ? `${labels.slice(0, 2).join(", ")} … ${labels[labels.length - 1]}` : labels.join(", ");
    part.numbers = countOfNumbered(part, names);
  }
  return merged;
}

/* How many numbered children a part has: the blocks of a stage. */
function countOfNumbered(part, names) {
  if (part.paths.length > 1) return 0;
  const [path] = part.paths;
  const numbers = new Set();
  for (const at of part.at) {
    const segment = names[at].slice(path.length).split(".", 1)[0];
    if (/^\d+$/.test(segment)) numbers.add(segment);
  }
  return numbers.size;
}

/* The rows in groups: the network's parts with what lies inside them, then what has no place, then what is left out. */
function arranged(rows) {
  if (rows.groups) return rows.groups;
  const { keys } = rows;
  keys.parts ??= partsOf(keys.model);
  const homes = new Map();
  const partOf = new Int32Array(keys.model.length);
  keys.parts.forEach((part, number) => {
    for (const path of part.paths) homes.set(path, number);
    for (const at of part.at) partOf[at] = number;
  });
  const inside = keys.parts.map(() => ({ own: [], guests: [] }));
  const strangers = [];
  const ignored = [];
  for (let row = 0; row < rows.count; row++) {
    if (rows.right[row] >= 0) inside[partOf[rows.right[row]]].own.push(row);
    else if (rows.code(row) === IGNORED) ignored.push(row);
    else {
      const home = homeOf(rows.renamed(row), homes);
      (home === undefined ? strangers : inside[home].guests).push(row);
    }
  }
  const groups = keys.parts.map((part, number) => group(rows, "part", part.label, withGuests(rows, inside[number]), part.numbers));
  const names = strangers.map((row) => rows.renamed(row));
  for (const part of partsOf(names))
    groups.push(group(rows, "stranger", part.label, part.at.map((at) => strangers[at]), part.numbers));
  if (ignored.length) groups.push(group(rows, "ignored", "left out", ignored, 0));
  rows.groups = groups.filter((each) => each.rows.length);
  return rows.groups;
}

function homeOf(name, homes) {
  if (homes.has(name)) return homes.get(name);
  for (let dot = name.lastIndexOf("."); dot >= 0; dot = dot ? name.lastIndexOf(".", dot - 1) : -1) {
    const home = homes.get(name.slice(0, dot + 1));
    if (home !== undefined) return home;
    if (name.length > 2000) return undefined;
  }
  return undefined;
}

/* The model's rows in its order; a key without a place stands behind the last one of the module it would lie in. */
function withGuests(rows, { own, guests }) {
  if (!guests.length) return own;
  const last = new Map();
  own.forEach((row, at) => {
    const name = rows.model(row);
    for (let dot = name.indexOf("."); dot >= 0; dot = name.indexOf(".", dot + 1)) last.set(name.slice(0, dot + 1), at);
  });
  const behind = new Map();
  for (const row of guests) {
    const name = rows.renamed(row);
    let place = own.length - 1;
    for (let dot = name.lastIndexOf("."); dot > 0; dot = name.lastIndexOf(".", dot - 1)) {
      const found = last.get(name.slice(0, dot + 1));
      if (found === undefined) continue;
      place = found;
      break;
    }
    const there = behind.get(place);
    if (there) there.push(row);
    else behind.set(place, [row]);
  }
  return own.flatMap((row, at) => (behind.has(at) ? [row, ...behind.get(at)] : [row])).concat(own.length ? [] : guests);
}

function group(rows, kind, label, members, numbers) {
  const counts = new Array(STATUS_CLASSES.length).fill(0);
  let trouble = 0;
  let wanted = 0;
  let filled = 0;
  let harmless = 0;
  for (const row of members) {
    const code = rows.code(row);
    counts[code]++;
    if (rows.trouble(row)) trouble++;
    if (rows.harmless(row)) harmless++;
    if (rows.right[row] >= 0) {
      wanted++;
      if (code < 2) filled++;
    }
  }
  return { kind, label, rows: members, numbers, counts, trouble, wanted, filled, harmless, items: null };
}

/* The rows of a group, with those that are alike but for one number as one item: {rows} or a row. */
function itemsOf(rows, each) {
  if (each.items) return each.items;
  const { checkpoint, model } = forms(rows.keys);
  const families = new Map();
  for (const row of each.rows) {
    const left = rows.left[row];
    const right = rows.right[row];
    const mark = `${left < 0 ? "" : checkpoint.form[left]},${right < 0 ? "" : model.form[right]},${rows.status[row]},${rows.rule[row]},${rows.noteCode(row)},${rows.shapeCodes(row)},${rows.checkpointType(row)},${rows.lit ? rows.lit[row] : 0}`;
    const family = families.get(mark);
    if (family) family.push(row);
    else families.set(mark, [row]);
  }
  const runOf = new Map();
  for (const family of families.values()) {
    if (family.length < FEWEST_ALIKE) continue;
    const numbers = (row) => (rows.right[row] >= 0 ? model.numbers[rows.right[row]] : checkpoint.numbers[rows.left[row]]);
    const length = numbers(family[0]).length;
    let hole = -1;
    let most = 1;
    for (let position = 0; position < length; position++) {
      const values = new Set();
      for (const row of family) values.add(numbers(row)[position]);
      if (values.size > most) [hole, most] = [position, values.size];
    }
    if (hole < 0) continue;
    const runs = new Map();
    for (const row of family) {
      const rest = numbers(row).filter((_, position) => position !== hole).join(",");
      const run = runs.get(rest);
      if (run) run.push(row);
      else runs.set(rest, [row]);
    }
    for (const run of runs.values()) {
      if (run.length < FEWEST_ALIKE) continue;
      const item = { rows: run, key: `${each.label} ${identity(rows, run[0])}` };
      for (const row of run) runOf.set(row, item);
    }
  }
  const items = [];
  for (const row of each.rows) {
    const item = runOf.get(row);
    if (!item) items.push(row);
    else if (item.rows[0] === row) items.push(item);
  }
  each.items = items;
  each.runOf = runOf;
  return items;
}

/* The text that several keys share, with what varies in braces: pieces, `layer3.{0..22}.conv1.weight`. */
function writtenOnce(names) {
  const parts = names[0].split(/(\d+)/);
  const others = names.map((name) => name.split(/(\d+)/));
  if (others.some((other) => other.length !== parts.length)) return names[0];
  return parts
    .map((part, at) => {
      if (at % 2 === 0) return part;
      const values = [...new Set(others.map((other) => other[at]))];
      return values.length === 1 ? part : `{${ranged(values)}}`;
    })
    .join("");
}

function ranged(values) {
  const numbers = values.map(Number).sort((a, b) => a - b);
  const spans = [];
  for (const number of numbers) {
    const last = spans[spans.length - 1];
    if (last && number === last[1] + 1) last[1] = number;
    else spans.push([number, number]);
  }
  const written = spans.map(([from, to]) => (from === to ? `${from}` : to === from + 1 ? `${from},${to}` : `${from}..${to}`));
  return written.length > 4 ? `${written.slice(0, 3).join(",")},…,${numbers[numbers.length - 1]}` : written.join(",");
}
