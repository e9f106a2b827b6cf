/** Markdown as this gateway's pages read it: no HTML, links to the web and to mail only. */

import MarkdownIt, { type Token } from "markdown-it";

/** What the definitions of one text say; shared by all of its blocks. */
export interface Environment {
  references?: Record<string, { title: string; href: string }>;
  [name: string | symbol]: unknown;
}

const LINK = /^(https?:\/\/|mailto:)/i;

const markdown = new MarkdownIt({ html: false, linkify: true, breaks: false, maxNesting: 40 });
markdown.linkify.set({ fuzzyLink: false, fuzzyEmail: false });
// What is refused here stays text. The page asks for nothing but its own server's files anyway.
markdown.validateLink = (url) => LINK.test(url.trim());

/** All of a text, as tokens. */
export function parse(text: string, environment: Environment): Token[] {
  return markdown.parse(text, environment);
}

/** Text without blocks, as the tokens of its one line. */
export function parseInline(text: string, environment: Environment): Token[] {
  return markdown.parseInline(text, environment)[0]?.children ?? [];
}

/** Only the blocks of a text, which is the cheap half of the work. */
export function parseBlocks(text: string, environment: Environment): Token[] {
  const tokens: Token[] = [];
  markdown.block.parse(text, markdown, environment, tokens);
  return tokens;
}
