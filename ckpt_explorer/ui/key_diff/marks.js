/* What differs between two keys, segment by segment and then letter by letter; between two shapes number by number. */

const MOST_SEGMENTS = 40;

const inSegments = (key) => key.split(/(?<=[.])/);

/* Two keys as pieces [text, mark]; what only one of them has carries its mark. */
function compared(left, right, leftMark, rightMark) {
  if (left === right) return [[[left, ""]], [[right, ""]]];
  const a = inSegments(left);
  const b = inSegments(right);
  const gaps = a.length > MOST_SEGMENTS || b.length > MOST_SEGMENTS ? [[left, right, ""]] : betweenCommon(a, b);
  const pieces = [[], []];
  for (const [ours, theirs, common] of gaps) {
    const [front, back] = sharedEnds(ours, theirs);
    for (const [side, text, mark] of [[0, ours, leftMark], [1, theirs, rightMark]]) {
      if (front) pieces[side].push([text.slice(0, front), ""]);
      if (text.length > front + back) pieces[side].push([text.slice(front, text.length - back), mark]);
      if (back) pieces[side].push([text.slice(text.length - back), ""]);
      if (common) pieces[side].push([common, ""]);
    }
  }
  return pieces;
}

/* The longest common run of segments: rows of [only left, only right, then common]. */
function betweenCommon(a, b) {
  const length = Array.from({ length: a.length + 1 }, () => new Uint8Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i--)
    for (let j = b.length - 1; j >= 0; j--)
      length[i][j] = a[i] === b[j] ? length[i + 1][j + 1] + 1 : Math.max(length[i + 1][j], length[i][j + 1]);
  const gaps = [["", "", ""]];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    const last = gaps[gaps.length - 1];
    if (i < a.length && j < b.length && a[i] === b[j]) {
      last[2] += a[i];
      i++;
      j++;
      continue;
    }
    const gap = last[2] ? ["", "", ""] : last;
    if (gap !== last) gaps.push(gap);
    if (j >= b.length || (i < a.length && length[i + 1][j] >= length[i][j + 1])) gap[0] += a[i++];
    else gap[1] += b[j++];
  }
  return gaps;
}

function sharedEnds(a, b) {
  const most = Math.min(a.length, b.length);
  let front = 0;
  while (front < most && a[front] === b[front]) front++;
  let back = 0;
  while (back < most - front && a[a.length - 1 - back] === b[b.length - 1 - back]) back++;
  return [front, back];
}

/* A shape as pieces; numbers in which the other differs carry the mark. */
function shapePieces(shape, other, mark, comma = ", ") {
  if (!shape.length) return [["scalar", other && other.length ? mark : ""]];
  return shape.flatMap((size, at) => [
    ...(at ? [[comma, ""]] : []),
    [String(size), other && other[at] !== size ? mark : ""],
  ]);
}
