// Words: how the text of a rule and its example are drawn, and what can be written next. Everything is textContent.

function el(tag, cls, text) {
  const made = document.createElement(tag);
  if (cls) made.className = cls;
  if (text !== undefined) made.textContent = text;
  return made;
}

// A button; `hint` is its title, and what a screen reader says where the text alone is a sign.
function button(cls, text, hint, does) {
  const made = el("button", cls, text);
  made.type = "button";
  if (hint) made.title = hint;
  if (hint && (text.length < 2 || hint.startsWith(text))) made.setAttribute("aria-label", hint);
  made.addEventListener("click", (event) => { if (made.getAttribute("aria-disabled") !== "true") does(event); });
  return made;
}

// A button that can't be pressed now stays where it is for the keyboard.
function able(made, can) { made.setAttribute("aria-disabled", String(!can)); }

function fill(parent, ...nodes) { parent.replaceChildren(...nodes); }

// The text of a rule: its kind, operands, arrow, and holes, each in its own tone.
function ruleText(text, kinds) {
  const kind = kinds.find((row) => text.startsWith(row.name + " "));
  const nodes = [];
  let rest = text;
  if (kind) { nodes.push(el("span", "kind", kind.name)); rest = text.slice(kind.name.length); }
  for (const part of rest.split(/(\{[^{}]*\}|\s->\s)/)) {
    if (/^\{.*\}$/.test(part)) { const hole = el("span", "hole"); hole.append(...breakable(part)); nodes.push(hole); }
    else if (part === " -> ") nodes.push(el("span", "arrow", " → "));
    else nodes.push(...breakable(part));
  }
  return nodes;
}

// A text that is broken behind its separators rather than within a word.
function breakable(text) {
  return text.split(/(?<=[./_|,])(?!['"}])/).flatMap((piece, at) => (at ? [el("wbr"), document.createTextNode(piece)] : [document.createTextNode(piece)]));
}

const MOST_IN_A_LINE = 44;
const MOST_WITH_BOTH_TAILS = 32;

function lastPart(front) {
  const at = front.slice(0, -1).search(/[^./]*$/);
  return at > 1 ? `…${front.slice(at)}` : front;
}

// An example, with what was cut struck through where it stood and what is new lit where it stands.
function example(line) {
  if (line.state === "fills") return [document.createTextNode(line.before + " is filled in")];
  if (line.after === null) return [el("span", "cut", line.before), document.createTextNode("  left out")];
  const [before, after] = [line.before, line.after];
  if (before === after) return [document.createTextNode(before)];
  let front = 0, back = 0;
  const most = Math.min(before.length, after.length);
  while (front < most && before[front] === after[front]) front++;
  while (back < most - front && before[before.length - 1 - back] === after[after.length - 1 - back]) back++;
  const whole = (text, at) => at === 0 || at === text.length || /[./_]/.test(text[at - 1]) || /[./]/.test(text[at]);
  while (front > 0 && !(whole(before, front) && whole(after, front))) front--;
  while (back > 0 && !(whole(before, before.length - back) && whole(after, after.length - back))) back--;
  const [cut, put] = [before.slice(front, before.length - back), after.slice(front, after.length - back)];
  const isLong = before.length + after.length > MOST_IN_A_LINE;
  const [head, tail] = [isLong ? lastPart(before.slice(0, front)) : before.slice(0, front), before.slice(before.length - back)];
  const isStillLong = 2 * (head.length + tail.length) + cut.length + put.length > MOST_WITH_BOTH_TAILS;
  if (isStillLong && put && cut && tail) return [head, el("span", "cut", cut), "…", el("span", "arrow", " → "), head, el("span", "new", put), tail];
  if (!put) return [head, el("span", "cut", cut), tail];
  if (!cut) return [head, el("span", "new", put), tail];
  return [head, el("span", "cut", cut), tail, el("span", "arrow", " → "), head, el("span", "new", put), tail];
}

// What can stand at the caret: the start of what is replaced, and the words for it.
function completions(text, words) {
  const starts = text.trimStart();
  const kind = words.kinds.find((row) => starts.toLowerCase().startsWith(row.name + " "));
  const arrow = text.search(/(->|→|=>)\s*\S*$/);
  if (!kind && arrow < 0) {
    const typed = starts.toLowerCase();
    const kinds = words.kinds.filter((row) => row.name.startsWith(typed) && row.name !== typed)
      .map((row) => ({ text: row.name + " ", help: row.help, like: row.example }));
    const keys = typed ? segments(words.segments, starts, 12) : [];
    return { from: text.length - starts.length, items: [...kinds, ...keys] };
  }
  if (arrow >= 0) {
    const from = arrow + text.slice(arrow).match(/^(->|→|=>)\s*/)[0].length;
    const typed = text.slice(from);
    if (kind?.name === "transform") return { from, items: named(words.operations, typed) };
    if (kind?.name === "fill") return { from, items: named([{ name: "0" }, { name: "1" }, { name: "1 - eps" }], typed) };
    if (kind?.name === "combine") return { from, items: named([{ name: "weight" }], typed) };
    const dot = typed.lastIndexOf(".") + 1;
    return { from: from + dot, items: segments(words.targets, typed.slice(dot), 20, !dot) };
  }
  const from = text.length - starts.length + kind.name.length + 1;
  const typed = text.slice(from);
  if (kind.name === "strip prefix") return { from, items: plain(words.prefixes.filter((row) => row.startsWith(typed) && row !== typed)) };
  if (kind.name === "take from") return { from, items: plain(words.paths.filter((row) => row.startsWith(typed) && row !== typed)) };
  if (kind.name === "combine") return { from, items: named([{ name: "'weight_orig * weight_mask' -> weight" }, { name: "'weight_g * weight_v / |weight_v|' -> weight" }], typed) };
  if (kind.name === "regex") return { from, items: [] };
  if (kind.name === "remove segment") return { from, items: segments(words.segments, typed, 20, true).map((row) => ({ ...row, text: row.text.replace(/\.$/, "") })) };
  const dot = typed.lastIndexOf(".") + 1;
  const next = segments(kind.name === "add prefix" ? words.targets : words.segments, typed.slice(dot).replace(/^\^/, ""), 20, !dot);
  if (/\S\s$/.test(typed) && ["rename", "transform", "fill"].includes(kind.name)) return { from: text.length, items: [{ text: "-> ", help: "becomes" }] };
  return { from: from + dot + (typed.slice(dot).startsWith("^") ? 1 : 0), items: next };
}

function plain(texts) { return texts.slice(0, 30).map((text) => ({ text, help: "" })); }

function named(rows, typed) {
  return rows.filter((row) => row.name.toLowerCase().startsWith(typed.toLowerCase()) && row.name !== typed)
    .map((row) => ({ text: row.name, help: row.help || "" }));
}

// The words that begin with what is typed, then those that hold it; before anything is typed, only for a `first` segment.
function segments(all, typed, most, first) {
  const low = typed.toLowerCase();
  if (!low && !first) return [];
  const found = all.filter((row) => row.toLowerCase().startsWith(low) && row !== typed);
  const inside = low ? all.filter((row) => !row.toLowerCase().startsWith(low) && row.toLowerCase().includes(low)) : [];
  return plain([...found, ...inside].slice(0, most));
}

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = el("textarea");
    area.value = text;
    area.style.position = "fixed";
    area.style.opacity = "0";
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}
