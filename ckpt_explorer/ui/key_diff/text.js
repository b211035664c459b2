/* Untrusted text for the screen: what can't be seen is written as an escape, as ckpt_explorer/text.py does it. */

const UNSEEN =
  /[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]/gu;

function escaped(character) {
  const code = character.charCodeAt(0);
  return code > 255 ? "\\u" + code.toString(16).padStart(4, "0") : "\\x" + code.toString(16).padStart(2, "0");
}

const visible = (text) => text.replace(UNSEEN, escaped);

/* A text as pieces [text, mark], cut in the middle to `room` characters: the end of a key says more than its middle. */
function elided(pieces, room) {
  let length = 0;
  for (const [text] of pieces) length += text.length;
  if (length <= room || room < 8) return pieces;
  const head = Math.floor(room * 0.35);
  const tail = length - (room - head - 1);
  const kept = [];
  let at = 0;
  let cut = false;
  for (const [text, mark] of pieces) {
    const front = text.slice(0, Math.max(0, head - at));
    const back = text.slice(Math.max(0, Math.min(text.length, tail - at)));
    if (front) kept.push([front, mark]);
    if (!cut && at + text.length > head) {
      kept.push(["…", "gap"]);
      cut = true;
    }
    if (at + text.length > tail && back) kept.push([back, mark]);
    at += text.length;
  }
  return kept;
}

/* Pieces whose text is safe to look at; escapes are told from letters that look alike by a mark of their own. */
function seen(pieces) {
  const shown = [];
  for (const [text, mark] of pieces) {
    let from = 0;
    for (const found of text.matchAll(UNSEEN)) {
      if (found.index > from) shown.push([text.slice(from, found.index), mark]);
      shown.push([escaped(found[0]), mark ? mark + " unseen" : "unseen"]);
      from = found.index + found[0].length;
    }
    if (from < text.length) shown.push([text.slice(from), mark]);
  }
  return shown;
}

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function button(className, label, act, title) {
  const made = element("button", className, label);
  made.type = "button";
  if (title) made.title = title;
  made.addEventListener("click", act);
  return made;
}

const counted = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
