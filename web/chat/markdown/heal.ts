/** The end of a text that is still being written, with what it has opened closed for the eye. */

const CODE = /`[^`\n]*$/;
const LINK_ADDRESS = /\[([^[\]\n]*)\]\([^()\s]*$/;
const IMAGE_BEGUN = /!(\[[^\]\n]*)?$/;
const LINK_BEGUN = /\[([^[\]\n]*)$/;
const MARKS_AT_END = /[ \t]*(\*{1,3}|_{1,3}|~{1,2})$/;

/** Close emphasis, code and links that the text's last block has open: they arrive in a moment. */
export function heal(text: string): string {
  const from = Math.max(text.lastIndexOf("\n\n"), 0);
  return text.slice(0, from) + healed(text.slice(from));
}

function healed(block: string): string {
  if (isOdd(block, /`+/g) && CODE.test(block)) {
    return block.endsWith("`") ? block.slice(0, -1) : `${block}\``;
  }
  const plain = block
    .replace(IMAGE_BEGUN, "")
    .replace(LINK_ADDRESS, "$1")
    .replace(LINK_BEGUN, "$1");
  const trimmed = opensAtEnd(plain) ? plain.replace(MARKS_AT_END, "") : plain;
  return trimmed + missing(withoutCode(trimmed));
}

/** The text ends with marks that nothing follows yet, and that close nothing. */
function opensAtEnd(text: string): boolean {
  const marks = MARKS_AT_END.exec(text)?.[1];
  if (!marks) return false;
  const before = text.slice(0, -marks.length);
  return (
    /(^|\s|[([{"'“‘])$/.test(before) && !/^\s*$/.test(before.slice(before.lastIndexOf("\n") + 1))
  );
}

function missing(text: string): string {
  const open: string[] = [];
  for (const [marks] of text.matchAll(
    /\*{1,3}|~~|(?<![\p{L}\p{N}_])_{1,2}|_{1,2}(?![\p{L}\p{N}_])/gu,
  )) {
    if (open.at(-1) === marks) open.pop();
    else open.push(marks);
  }
  const wanted = open.filter((marks) => opens(text, marks));
  // Emphasis that ends in white space is none.
  return wanted.length && /\S$/.test(text) ? wanted.reverse().join("") : "";
}

/** The marks stand where they open something: with a letter after them, not with a space. */
function opens(text: string, marks: string): boolean {
  const at = text.lastIndexOf(marks);
  return /\S/.test(text[at + marks.length] ?? "") && !/[\p{L}\p{N}]/u.test(text[at - 1] ?? "");
}

function withoutCode(text: string): string {
  return text.replace(/`[^`]*`/g, "");
}

function isOdd(text: string, marks: RegExp): boolean {
  return (text.match(marks) ?? []).length % 2 === 1;
}
