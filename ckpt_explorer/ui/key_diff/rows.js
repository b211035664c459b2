/* The rows of an alignment, over the two messages: the keys, and who is paired with whom. */

const HARMLESS = 0x40;
const WELL = 0x3f;

/* What is computed once for the keys of both sides, whatever the rules make of them. */
function readKeys(base) {
  if (base.read) return base.read;
  const checkpoint = frontDecoded(base.checkpoint_keys, base.checkpoint_shared);
  const model = frontDecoded(base.model_keys, base.model_shared);
  base.checkpoint_keys = base.model_keys = null;
  base.read = { name: base.name, checkpoint, model, forms: null, parts: null, base };
  return base.read;
}

/* The row's facts by its number; names that were not sent are those of the other side. */
function readRows(keys, state) {
  if (state.read && state.read.keys === keys) return state.read;
  const { base } = keys;
  const names = frontDecoded(state.renamed, state.renamed_shared);
  const renamed = new Map();
  state.renamed_row.forEach((row, at) => renamed.set(row, names[at]));
  const rows = {
    keys,
    name: state.name,
    count: state.left.length,
    left: state.left,
    right: state.right,
    status: state.status,
    lit: state.lit || null,
    rule: state.rule,
    words: state.words,
    was: state.was || null,
    code: (row) => state.status[row] & WELL,
    harmless: (row) => (state.status[row] & HARMLESS) !== 0,
    checkpoint: (row) => (state.left[row] < 0 ? null : keys.checkpoint[state.left[row]]),
    model: (row) => (state.right[row] < 0 ? null : keys.model[state.right[row]]),
    renamed: (row) => renamed.get(row) ?? (state.right[row] >= 0 ? keys.model[state.right[row]] : keys.checkpoint[state.left[row]]),
    wasRenamed: (row) => renamed.has(row),
    note: (row) => state.notes[state.note[row]],
    noteCode: (row) => state.note[row],
    checkpointShape: (row) => (state.left[row] < 0 ? null : base.shapes[base.checkpoint_shape[state.left[row]]]),
    modelShape: (row) => (state.right[row] < 0 ? null : base.shapes[base.model_shape[state.right[row]]]),
    shapeCodes: (row) =>
      `${state.left[row] < 0 ? "" : base.checkpoint_shape[state.left[row]]}/${state.right[row] < 0 ? "" : base.model_shape[state.right[row]]}`,
    checkpointType: (row) => (state.left[row] < 0 ? null : base.dtypes[base.checkpoint_dtype[state.left[row]]]),
    modelType: (row) => (state.right[row] < 0 ? null : base.dtypes[base.model_dtype[state.right[row]]]),
  };
  rows.trouble = (row) => TROUBLE[rows.code(row)] && !rows.harmless(row);
  state.read = rows;
  return rows;
}

/* By the number of the status: its class in the style sheet, and whether it is trouble. */
const STATUS_CLASSES = ["matched", "adapted", "mismatch", "missing", "unexpected", "ignored"];
const TROUBLE = [false, false, true, true, true, false];
const WORST_FIRST = [2, 3, 4, 1, 0, 5];
const MISSING = 3;
const UNEXPECTED = 4;
const IGNORED = 5;

/* A row is known by its keys: under other rules it has another number. */
const identity = (rows, row) => (rows.right[row] >= 0 ? `${rows.left[row]}>${rows.right[row]}` : `${rows.left[row]}>`);

/* The row with this identity; else the one that has its model key, or its checkpoint key. */
function rowOf(rows, left, right) {
  let near = -1;
  for (let row = 0; row < rows.count; row++) {
    if (right >= 0 && rows.right[row] === right) {
      if (rows.left[row] === left) return row;
      near = row;
    } else if (left >= 0 && rows.left[row] === left) {
      if (right < 0 && rows.right[row] < 0) return row;
      if (near < 0) near = row;
    }
  }
  return near;
}

/* The form of each key: itself with # for its numbers, as a code; and those numbers. */
function forms(keys) {
  if (keys.forms) return keys.forms;
  const codes = new Map();
  const of = (names) => {
    const form = new Int32Array(names.length);
    const numbers = new Array(names.length);
    names.forEach((name, at) => {
      const parts = name.length > 2000 ? [name] : name.split(/(\d+)/);
      const found = [];
      let text = parts[0];
      for (let part = 1; part < parts.length; part += 2) {
        found.push(parts[part]);
        text += "#" + parts[part + 1];
      }
      let code = codes.get(text);
      if (code === undefined) codes.set(text, (code = codes.size));
      form[at] = code;
      numbers[at] = found;
    });
    return { form, numbers };
  };
  keys.forms = { checkpoint: of(keys.checkpoint), model: of(keys.model) };
  return keys.forms;
}
