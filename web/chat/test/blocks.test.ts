import { describe, expect, test } from "vitest";
import { type Block, Blocks } from "../markdown/blocks.ts";

const WHOLE = `# Heading

A paragraph with *emphasis*
on two lines.

- one

- two
  - nested

  and more

1. first
2. second

| a | b |
|---|---|
| 1 | 2 |

\`\`\`\`ts
const x = 1;
\`\`\`
still code
\`\`\`\`
After the code.
> quote
> goes on

Setext
======

    indented code

[ref]: https://example.org
Last paragraph`;

/** What the blocks hold, without what differs between two ways to the same text. */
function shown(blocks: Blocks): unknown[] {
  const all: Block[] = blocks.groups.flat();
  const live = blocks.live;
  if (live) all.push(live);
  return all.map((block) =>
    block.kind === "text" ? block.text.trim() : { [block.kind]: block.parts.join("") },
  );
}

function fed(text: string, size: (at: number) => number): Blocks {
  const blocks = new Blocks();
  for (let at = 0; at < text.length;) {
    const next = at + size(at);
    blocks.append(text.slice(at, next));
    at = next;
  }
  return blocks;
}

describe("Blocks", () => {
  test("come to the same however the text was torn", () => {
    const want = fed(WHOLE, () => WHOLE.length);
    want.end();
    for (const size of [1, 2, 3, 7, 50]) {
      const got = fed(WHOLE, () => size);
      got.end();
      expect(shown(got)).toEqual(shown(want));
      expect(got.environment.references).toEqual(want.environment.references);
    }
    expect(shown(want)).toEqual([
      "# Heading",
      "A paragraph with *emphasis*\non two lines.",
      "- one\n\n- two\n  - nested\n\n  and more",
      "1. first\n2. second",
      "| a | b |\n|---|---|\n| 1 | 2 |",
      { code: "const x = 1;\n```\nstill code\n" },
      "After the code.",
      "> quote\n> goes on",
      "Setext\n======",
      "indented code",
      "[ref]: https://example.org",
      "Last paragraph",
    ]);
  });

  test("that are settled stay the same objects", () => {
    const blocks = new Blocks();
    for (let i = 0; i < 60; i += 1) blocks.append(`Paragraph ${i}.\n\n`);
    const [first] = blocks.groups;
    blocks.append("More.\n\nAnd more.\n\n");
    expect(blocks.groups[0]).toBe(first);
    expect(blocks.groups.flat().length).toBe(61);
  });

  test("keep the last line of code back while it may be the end of it", () => {
    const blocks = new Blocks();
    blocks.append("```js\nlet a;\n``");
    expect(shown(blocks)).toEqual([{ code: "let a;\n" }]);
    blocks.append("x");
    expect(shown(blocks)).toEqual([{ code: "let a;\n``x" }]);
  });

  test("cut long code at ends of lines, and lose nothing", () => {
    const code = Array.from({ length: 2000 }, (_, i) => `line ${i};\n`).join("");
    const blocks = fed(`\`\`\`\n${code}\`\`\`\n`, (at) => 1 + (at % 11));
    const [block] = blocks.groups.flat();
    expect(block?.kind === "code" && block.parts.join("")).toBe(code);
    expect(block?.kind === "code" && block.parts.length).toBeGreaterThan(5);
  });

  test("cut a long paragraph where no mark-up is open, and lose nothing", () => {
    const text = `${"some words *with emphasis* and `code` here. ".repeat(500)}\n\nNext.`;
    const blocks = fed(text, (at) => 1 + (at % 13));
    blocks.end();
    const [long, next] = blocks.groups.flat();
    const parts = long?.kind === "paragraph" ? long.parts : [];
    expect(parts.join("").trim()).toBe(text.slice(0, -7).trim());
    expect(parts.every((part) => (part.match(/[*`]/g) ?? []).length % 2 === 0)).toBe(true);
    expect(next).toMatchObject({ kind: "text", text: "Next.\n" });
  });

  test("cut a list of many items, and count on", () => {
    const list = Array.from({ length: 100 }, (_, i) => `${i + 1}. item`).join("\n");
    const blocks = fed(list, () => 5);
    blocks.end();
    const got = blocks.groups.flat().map((b) => (b.kind === "text" ? [b.goesOn, b.start] : []));
    expect(got).toEqual([
      [false, null],
      [true, 25],
      [true, 49],
      [true, 73],
      [true, 97],
    ]);
    expect(shown(blocks).join("\n")).toBe(list);
  });

  test("end lines alike, also where a chunk tears a line's end", () => {
    const blocks = new Blocks();
    for (const chunk of ["a\r", "\nb\r\n\r", "\nc\r", "d"]) blocks.append(chunk);
    blocks.end();
    expect(shown(blocks)).toEqual(["a\nb", "c\nd"]);
  });
});
