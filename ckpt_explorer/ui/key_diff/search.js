/* Search: all words in any of a row's names, or a regular expression. The expression runs in a worker of its own, which
   is ended when it takes too long: no pattern can hold the page. */

const PATIENCE = 2000;
const WORKER = `
onmessage = ({ data: { source, whole, ends, rows } }) => {
  const found = [];
  try {
    const pattern = new RegExp(source, "iu");
    let from = 0;
    for (let at = 0; at < ends.length; at++) {
      const row = rows[at];
      if (found[found.length - 1] !== row && pattern.test(whole.slice(from, ends[at]))) found.push(row);
      from = ends[at];
    }
  } catch (error) {
    postMessage({ wrong: error.message });
    return;
  }
  postMessage({ found });
};`;

class Hits {
  constructor(rows = [], says = "") {
    this.rows = rows;
    this.says = says;
    this.set = new Set(rows);
  }
  is(row) {
    return this.set.has(row);
  }
}

const NO_HITS = new Hits();

/* The names of every row: as one text for words, and one behind the other for expressions. */
function searchable(rows) {
  if (rows.searchable) return rows.searchable;
  const words = new Array(rows.count);
  const names = [];
  const owners = [];
  for (let row = 0; row < rows.count; row++) {
    const first = names.length;
    const checkpoint = rows.checkpoint(row);
    const model = rows.model(row);
    if (checkpoint !== null) names.push(checkpoint);
    if (model !== null && model !== checkpoint) names.push(model);
    if (rows.wasRenamed(row)) names.push(rows.renamed(row));
    for (let at = first; at < names.length; at++) owners.push(row);
    words[row] = (names.length === first + 1 ? names[first] : names.slice(first).join("\n")).toLowerCase();
  }
  rows.searchable = { words, names, owners, packed: null };
  return rows.searchable;
}

function packedNames(ready) {
  if (ready.packed) return ready.packed;
  let end = 0;
  const ends = Int32Array.from(ready.names, (name) => (end += name.length));
  ready.packed = { whole: ready.names.join(""), ends, rows: Int32Array.from(ready.owners) };
  return ready.packed;
}

function plainHits(rows, query) {
  const { words } = searchable(rows);
  const wanted = query.toLowerCase().split(/\s+/).filter(Boolean);
  const found = [];
  for (let row = 0; row < rows.count; row++) if (wanted.every((word) => words[row].includes(word))) found.push(row);
  return new Hits(found);
}

let searching = null;

function expressionHits(rows, source, done) {
  if (searching) searching();
  try {
    new RegExp(source, "iu");
  } catch (error) {
    done(new Hits([], "no regular expression: " + error.message.replace(/^Invalid regular expression: /, "")));
    return;
  }
  const address = URL.createObjectURL(new Blob([WORKER], { type: "text/javascript" }));
  const worker = new Worker(address);
  const end = () => {
    clearTimeout(timer);
    worker.terminate();
    URL.revokeObjectURL(address);
    searching = null;
  };
  const timer = setTimeout(() => {
    end();
    done(new Hits([], "takes too long: make it simpler"));
  }, PATIENCE);
  searching = end;
  worker.onmessage = ({ data }) => {
    end();
    done(data.wrong ? new Hits([], data.wrong) : new Hits(data.found));
  };
  worker.onerror = (event) => {
    end();
    done(new Hits([], "the search failed: " + event.message));
  };
  worker.postMessage({ source, ...packedNames(searchable(rows)) });
}

/* Where the words stand in a text that is on the screen. An expression is not tried again here, where nothing ends it. */
function findsOf(query, isExpression) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  if (isExpression || !words.length) return null;
  return (text) => {
    const low = text.toLowerCase();
    if (low.length !== text.length) return [];
    const found = [];
    for (const word of words)
      for (let at = low.indexOf(word); at >= 0; at = low.indexOf(word, at + word.length)) found.push([at, at + word.length]);
    return found.sort((a, b) => a[0] - b[0]);
  };
}
