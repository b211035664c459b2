/* Puts a message on the shelf: mounted where nobody sees it, once for the keys and once for their pairs. A name alone
   stands for a message that came before; where the shelf has it no more, the view asks for it. */

const KEPT = 3;

export default function ({ data }) {
  const part = typeof data === "string" ? shelf.parts.get(data) : unpack(data);
  if (!part) return;
  const kind = part.name.slice(0, part.name.indexOf(":"));
  shelf.parts.delete(part.name);
  shelf.parts.set(part.name, part);
  const alike = [...shelf.parts.keys()].filter((name) => name.startsWith(kind + ":"));
  for (const name of alike.slice(0, Math.max(0, alike.length - KEPT))) shelf.parts.delete(name);
  for (const reader of [...shelf.readers]) reader();
}
