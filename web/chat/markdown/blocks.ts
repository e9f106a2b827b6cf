/**
 * A growing text as blocks of Markdown: those that are settled, and the one that still grows.
 *
 * What is settled never changes, so that who shows it works for the last block only, however
 * long the answer is. Only whole lines settle anything: half of one may yet become anything.
 */

import type { Token } from "markdown-it";
import { type Environment, parseBlocks } from "./parser.ts";

/** Markdown of its own. A list of many items comes in several, of which the later `goesOn`. */
export interface TextBlock {
  readonly kind: "text";
  readonly id: number;
  readonly text: string;
  readonly goesOn: boolean;
  /** The number of the first item, where the list goes on. */
  readonly start: number | null;
}

/** One paragraph so long that it comes in parts. */
export interface ParagraphBlock {
  readonly kind: "paragraph";
  readonly id: number;
  readonly parts: readonly string[];
}

/** Code between fences; all parts but the last are whole lines that stay. */
export interface CodeBlock {
  readonly kind: "code";
  readonly id: number;
  readonly language: string;
  readonly parts: readonly string[];
}

export type Block = TextBlock | ParagraphBlock | CodeBlock;

/** The blocks of a full group. */
export const GROUP = 24;
const LIST_ITEMS = 24;
const PARAGRAPH_PART = 2_000;
const PARAGRAPH_PART_MOST = 8_000;
const CODE_PART = 3_000;

const FENCE = /^( {0,3})(`{3,}|~{3,})([^\n]*)\n/;

interface Code {
  readonly language: string;
  readonly indent: number;
  readonly closing: RegExp;
  readonly parts: string[];
}

const NO_CODE = { language: "", indent: 0, closing: /^$/ };

export class Blocks {
  /** Settled blocks in groups; all groups but the last are full, and stay the same objects. */
  groups: readonly (readonly Block[])[] = [];
  /** What the link definitions of the text say so far; another object whenever there are more. */
  environment: Environment = { references: {} };
  #ids = 0;
  #tail = "";
  /** How much of the tail has been looked at: up to its last line's end. */
  #seen = 0;
  #parts: string[] = [];
  #code: Code | null = null;
  #list: { goesOn: boolean; start: number | null } = { goesOn: false, start: null };
  #carriageReturn = false;
  #ended = false;

  /** The block that still grows; null where there is none. */
  get live(): Block | null {
    if (this.#ended) return null;
    if (this.#code) return this.#codeBlock(this.#code, visible(this.#code, this.#tail));
    if (this.#parts.length) {
      return { kind: "paragraph", id: this.#ids, parts: [...this.#parts, this.#tail] };
    }
    return this.#tail.trim() ? this.#textBlock(this.#tail) : null;
  }

  append(text: string): void {
    this.#tail += this.#normalized(text);
    this.#settle();
  }

  /** The text is whole: all of it is settled. */
  end(): void {
    if (this.#ended) return;
    if (this.#carriageReturn) this.append("\n");
    if (!this.#tail.endsWith("\n")) this.append("\n");
    if (this.#code) this.#endCode(this.#tail);
    else this.#settleRest();
    this.#tail = "";
    this.#ended = true;
  }

  /** Lines end as they do in Markdown's own normal form, also where a chunk tears their end. */
  #normalized(text: string): string {
    if (!this.#carriageReturn && !text.includes("\r")) return text;
    const whole = (this.#carriageReturn ? "\r" : "") + text;
    this.#carriageReturn = whole.endsWith("\r");
    const held = this.#carriageReturn ? whole.slice(0, -1) : whole;
    return held.replace(/\r\n?/g, "\n");
  }

  #settle(): void {
    for (let again = true; again;) {
      again = this.#code ? this.#settleCode(this.#code) : this.#settleLines();
    }
    if (!this.#code) this.#settleParagraph();
  }

  // -- text ----------------------------------------------------------------------------------

  /** Settle what whole lines settle; true if what follows is to be looked at anew. */
  #settleLines(): boolean {
    const end = this.#tail.lastIndexOf("\n") + 1;
    if (end <= this.#seen) return false;
    this.#seen = end;
    const lines = this.#tail.slice(0, end);
    const known = Object.keys(this.environment.references ?? {}).length;
    const environment = { references: { ...this.environment.references } };
    const tokens = parseBlocks(lines, environment);
    if (Object.keys(environment.references).length > known) this.environment = environment;
    const top = tokens.filter((token) => token.level === 0 && token.map && token.nesting >= 0);
    const starts = top.map((token) => offsetOfLine(lines, token.map?.[0] ?? 0));
    const last = top.at(-1);
    if (!last) return false;
    for (const [i, token] of top.slice(0, -1).entries()) {
      this.#settleBlock(token, lines.slice(i ? starts[i] : 0, starts[i + 1]));
    }
    this.#drop(starts.at(-1) ?? 0);
    if (last.type.endsWith("_list_open")) this.#settleItems(tokens, last);
    const fence = last.type === "fence" ? FENCE.exec(this.#tail) : null;
    if (fence) this.#beginCode(fence);
    return fence !== null;
  }

  /** Settle all items but the last of a list that has grown long. */
  #settleItems(tokens: Token[], list: Token): void {
    const items = tokens
      .slice(tokens.indexOf(list))
      .filter((token) => token.type === "list_item_open" && token.level === list.level + 1);
    const last = items.at(-1)?.map?.[0];
    if (items.length <= LIST_ITEMS || last === undefined) return;
    const first = this.#list.start ?? Number(list.attrGet("start") ?? 1);
    const start = list.type === "ordered_list_open" ? first + items.length - 1 : null;
    const end = offsetOfLine(this.#tail, last - (list.map?.[0] ?? 0));
    this.#push(this.#textBlock(this.#tail.slice(0, end)));
    this.#drop(end);
    this.#list = { goesOn: true, start };
  }

  #drop(length: number): void {
    this.#tail = this.#tail.slice(length);
    this.#seen = Math.max(0, this.#seen - length);
  }

  #settleBlock(token: Token, text: string): void {
    if (this.#parts.length) {
      // It is the end of the paragraph, unless that was over already.
      const ends = token.type === "paragraph_open" && token.map?.[0] === 0;
      this.#settleParts(ends ? text : "");
      if (ends) return;
    }
    if (token.type === "fence") this.#settleFence(token);
    else if (text.trim()) this.#push(this.#textBlock(text));
    this.#list = { goesOn: false, start: null };
  }

  #settleFence(token: Token): void {
    const code: Code = { ...NO_CODE, language: language(token.info), parts: [""] };
    for (const line of token.content.match(/[^\n]*\n|[^\n]+$/g) ?? []) addLine(code, line);
    this.#push(this.#codeBlock(code, ""));
  }

  #textBlock(text: string): TextBlock {
    return { kind: "text", id: this.#ids, text, ...this.#list };
  }

  #settleRest(): void {
    const [first] = parseBlocks(this.#tail, {});
    if (first) this.#settleBlock(first, this.#tail);
    else if (this.#parts.length) this.#settleParts("");
  }

  // -- a long paragraph ----------------------------------------------------------------------

  /** Cut parts off a paragraph that grows long, so that only its end is worked at. */
  #settleParagraph(): void {
    while (this.#tail.length > PARAGRAPH_PART && (this.#parts.length || isProse(this.#tail))) {
      const at = neutralCut(this.#tail);
      if (at === 0) return;
      this.#parts.push(this.#tail.slice(0, at));
      this.#drop(at);
    }
  }

  #settleParts(rest: string): void {
    this.#push({ kind: "paragraph", id: this.#ids, parts: [...this.#parts, rest.trimEnd()] });
    this.#parts = [];
  }

  // -- code ----------------------------------------------------------------------------------

  #beginCode([opening, indent = "", marks = "", info = ""]: RegExpExecArray): void {
    if (this.#parts.length) this.#settleParts("");
    this.#list = { goesOn: false, start: null };
    this.#code = {
      language: language(info),
      indent: indent.length,
      closing: new RegExp(`^ {0,3}${marks[0]}{${marks.length},}[ \\t]*$`),
      parts: [""],
    };
    this.#tail = this.#tail.slice(opening.length);
    this.#seen = 0;
  }

  /** Take whole lines of code; true if it has ended and text follows. */
  #settleCode(code: Code): boolean {
    let from = 0;
    for (let end = this.#tail.indexOf("\n"); end >= 0; end = this.#tail.indexOf("\n", from)) {
      const line = this.#tail.slice(from, end);
      from = end + 1;
      if (code.closing.test(line)) {
        this.#tail = this.#tail.slice(from);
        this.#endCode("");
        return true;
      }
      addLine(code, `${unindented(line, code.indent)}\n`);
    }
    this.#tail = this.#tail.slice(from);
    return false;
  }

  #endCode(rest: string): void {
    if (this.#code) this.#push(this.#codeBlock(this.#code, rest));
    this.#code = null;
    this.#seen = 0;
  }

  #codeBlock(code: Code, rest: string): CodeBlock {
    const last = (code.parts.at(-1) ?? "") + unindented(rest, code.indent);
    const parts = [...code.parts.slice(0, -1), last];
    return { kind: "code", id: this.#ids, language: code.language, parts };
  }

  #push(block: Block): void {
    this.#ids += 1;
    const last = this.groups.at(-1);
    this.groups =
      last && last.length < GROUP
        ? [...this.groups.slice(0, -1), [...last, block]]
        : [...this.groups, [block]];
  }
}

function offsetOfLine(text: string, line: number): number {
  let at = 0;
  for (let i = 0; i < line; i += 1) at = text.indexOf("\n", at) + 1;
  return at;
}

/** The text begins as a paragraph does, and is all of one. */
function isProse(text: string): boolean {
  return (
    !/^ {4}|^ {0,3}([-+*>#|=~`]|\d{1,9}[.)]\s)/.test(text) &&
    !/\n[ \t]*\n|\n {0,3}[-+*>#|=~`]/.test(text)
  );
}

/** The last place to cut a paragraph where no mark-up is open; 0 where there is none yet. */
function neutralCut(text: string): number {
  const most = Math.min(text.length, PARAGRAPH_PART_MOST) - 1;
  for (
    let at = text.lastIndexOf(" ", most);
    at > PARAGRAPH_PART / 4;
    at = text.lastIndexOf(" ", at - 1)
  ) {
    if (/\p{L}/u.test(text[at + 1] ?? "") && isNeutral(text.slice(0, at))) return at + 1;
  }
  return text.length > PARAGRAPH_PART_MOST ? text.lastIndexOf(" ", most) + 1 || most : 0;
}

function isNeutral(text: string): boolean {
  const counts: Record<string, number> = {};
  for (const mark of text.match(/[`*_~[\]()<>]/g) ?? []) counts[mark] = (counts[mark] ?? 0) + 1;
  const of = (mark: string) => counts[mark] ?? 0;
  const even = ["`", "*", "_", "~"].every((mark) => of(mark) % 2 === 0);
  return even && of("[") === of("]") && of("(") === of(")") && of("<") === of(">");
}

function language(info: string): string {
  return info.trim().split(/\s+/)[0] ?? "";
}

function addLine(code: Code, line: string): void {
  const last = code.parts.length - 1;
  const part = code.parts[last] ?? "";
  if (part.length < CODE_PART) code.parts[last] = part + line;
  else code.parts.push(line);
}

function unindented(line: string, indent: number): string {
  return indent ? line.replace(new RegExp(`^ {1,${indent}}`), "") : line;
}

/** The line that is not whole yet, unless it looks as if it became the end of the code. */
function visible(code: Code, line: string): string {
  return /^ {0,3}(`+|~+)$/.test(line) &&
    line.trim().length <= 3 &&
    code.closing.source.includes(line.trim()[0] ?? "")
    ? ""
    : line;
}
