/* The bytes of the wire (wire.py) as typed columns, and the shelf on which messages wait for who reads them. */

const shelf = (globalThis[Symbol.for("checkpoint-explorer.key-diff")] ??= { parts: new Map(), readers: new Set() });
const COLUMN_KINDS = { i4: Int32Array, u2: Uint16Array, u1: Uint8Array };

function unpack(bytes) {
  const size = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  const part = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + size)));
  const start = bytes.byteOffset + 4 + size;
  for (const [name, [kind, offset, length]] of Object.entries(part.columns)) {
    const Kind = COLUMN_KINDS[kind];
    const from = start + offset;
    part[name] = new Kind(bytes.buffer.slice(from, from + length * Kind.BYTES_PER_ELEMENT));
  }
  return part;
}

function frontDecoded(ends, shared) {
  const texts = new Array(ends.length);
  let before = "";
  for (let at = 0; at < ends.length; at++) {
    before = shared[at] ? before.slice(0, shared[at]) + ends[at] : ends[at];
    texts[at] = before;
  }
  return texts;
}
