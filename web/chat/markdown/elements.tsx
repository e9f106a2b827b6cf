/**
 * Tokens of Markdown as React elements of a closed set: nothing a model writes becomes HTML.
 *
 * An image is named, never loaded: its address would tell a stranger's server who reads.
 */

import type { Token } from "markdown-it";
import { createElement, Fragment, type ReactNode } from "react";
import { Code } from "./Code.tsx";

interface Node {
  readonly token: Token;
  readonly children: Node[];
}

/** Headings of an answer stand below those of the page. */
const HEADINGS: Record<string, string> = { h1: "h3", h2: "h4", h3: "h5", h4: "h6" };
const PLAIN = new Set(["ul", "blockquote", "li", "thead", "tbody", "tr", "em", "strong", "s"]);

/** The elements of a list of tokens; `listStart` is the first number of a list that goes on. */
export function elements(tokens: readonly Token[], listStart: number | null = null): ReactNode[] {
  return nested(tokens).map((node, i) => element(node, i, listStart));
}

function nested(tokens: readonly Token[]): Node[] {
  const top: Node[] = [];
  const open: Node[] = [];
  for (const token of tokens) {
    if (token.nesting < 0) {
      open.pop();
      continue;
    }
    const node: Node = { token, children: [] };
    (open.at(-1)?.children ?? top).push(node);
    if (token.nesting > 0) open.push(node);
  }
  return top;
}

function element({ token, children }: Node, key: number, listStart: number | null): ReactNode {
  const inside = () => children.map((child, i) => element(child, i, null));
  switch (token.type) {
    case "text":
    case "text_special":
      return token.content;
    case "softbreak":
      return "\n";
    case "hardbreak":
      return <br key={key} />;
    case "hr":
      return <hr key={key} />;
    case "inline":
      return <Fragment key={key}>{elements(token.children ?? [])}</Fragment>;
    case "code_inline":
      return <code key={key}>{token.content}</code>;
    case "fence":
    case "code_block":
      return (
        <Code
          key={key}
          language={token.info.trim().split(/\s+/)[0] ?? ""}
          parts={[token.content]}
        />
      );
    case "image":
      return <Image key={key} address={attribute(token, "src")} text={token.content} />;
    case "link_open":
      return (
        <a
          key={key}
          href={attribute(token, "href")}
          target="_blank"
          rel="noopener noreferrer nofollow"
        >
          {inside()}
        </a>
      );
    case "paragraph_open":
      // In a list of short items there are none.
      return token.hidden ? (
        <Fragment key={key}>{inside()}</Fragment>
      ) : (
        <p key={key} dir={direction(token)}>
          {inside()}
        </p>
      );
    case "heading_open":
      return createElement(
        HEADINGS[token.tag] ?? "h6",
        { key, dir: direction(token), className: `md-${token.tag}` },
        inside(),
      );
    case "ordered_list_open":
      return (
        <ol
          key={key}
          dir={direction(token)}
          start={listStart ?? Number(token.attrGet("start") ?? 1)}
        >
          {inside()}
        </ol>
      );
    case "table_open":
      return <Table key={key}>{inside()}</Table>;
    case "th_open":
    case "td_open":
      return createElement(token.tag, { key, className: aligned(token) }, inside());
  }
  if (PLAIN.has(token.tag)) {
    return createElement(token.tag, { key, dir: direction(token) }, inside());
  }
  return <Fragment key={key}>{inside()}</Fragment>;
}

/** A block runs as its first words do, and all that stands in it runs along: a list's marks, too. */
function direction(token: Token): "auto" | undefined {
  return token.block && token.level === 0 ? "auto" : undefined;
}

function attribute(token: Token, name: string): string {
  return String(token.attrGet(name) ?? "");
}

function aligned(token: Token): string | undefined {
  const side = /text-align:(center|right)/.exec(attribute(token, "style"))?.[1];
  return side && `md-${side}`;
}

function Table({ children }: { children: ReactNode }) {
  return (
    // It may be wider than the window, and is then scrolled by itself.
    <section className="md-table" tabIndex={0} aria-label="Table">
      <table dir="auto">{children}</table>
    </section>
  );
}

function Image({ address, text }: { address: string; text: string }) {
  return (
    <a className="md-image" href={address} target="_blank" rel="noopener noreferrer nofollow">
      Image: {text || address}
    </a>
  );
}
