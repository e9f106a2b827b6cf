/** Blocks of Markdown on the page. What is settled is made once; only the last block is made anew. */

import { memo } from "react";
import { type Block, type Blocks, GROUP } from "./blocks.ts";
import { Code } from "./Code.tsx";
import { elements } from "./elements.tsx";
import { heal } from "./heal.ts";
import { type Environment, parse, parseInline } from "./parser.ts";
import "./markdown.css";

/** All of a text. `version` is what changes when `blocks` has grown. */
export function Markdown({ blocks }: { blocks: Blocks; version: number }) {
  const { environment, groups, live } = blocks;
  const last = groups.at(-1);
  // The live block stands where it will stand when it is settled: nothing is made anew then.
  const joins = last !== undefined && last.length < GROUP;
  return (
    <div className="markdown">
      {groups.map((group) => (
        <Group
          key={group[0]?.id}
          blocks={group}
          live={joins && group === last ? live : null}
          environment={group.some(mayRefer) ? environment : NOTHING}
        />
      ))}
      {live && !joins && (
        <Group key={live.id} blocks={NO_BLOCKS} live={live} environment={environment} />
      )}
    </div>
  );
}

const NOTHING: Environment = {};
const NO_BLOCKS: readonly Block[] = [];

/** The text of a block may use a definition that is yet to come. */
function mayRefer(block: Block): boolean {
  if (block.kind === "code") return false;
  return block.kind === "text"
    ? block.text.includes("[")
    : block.parts.some((part) => part.includes("["));
}

interface GroupProps {
  blocks: readonly Block[];
  live: Block | null;
  environment: Environment;
}

const Group = memo(function Group({ blocks, live, environment }: GroupProps) {
  return [...blocks, ...(live ? [live] : [])].map((block) => (
    <Shown
      key={block.id}
      block={block}
      live={block === live}
      environment={mayRefer(block) ? environment : NOTHING}
    />
  ));
});

interface ShownProps {
  block: Block;
  live: boolean;
  environment: Environment;
}

const Shown = memo(function Shown({ block, live, environment }: ShownProps) {
  const ending = (text: string) => (live ? heal(text) : text);
  if (block.kind === "text") {
    // A copy: half of a definition must not be remembered.
    const copy = { references: { ...environment.references } };
    return <Text {...block} text={ending(block.text)} environment={copy} />;
  }
  if (block.kind === "code") return <Code language={block.language} parts={block.parts} />;
  const last = block.parts.length - 1;
  return (
    <p dir="auto">
      {block.parts.map((part, i) => (
        <Inline
          key={i}
          text={i === last ? ending(part) : part}
          environment={part.includes("[") ? environment : NOTHING}
        />
      ))}
    </p>
  );
});

function Text(props: {
  text: string;
  goesOn: boolean;
  start: number | null;
  environment: Environment;
}) {
  const made = elements(parse(props.text, props.environment), props.start);
  return props.goesOn ? <div className="md-goes-on">{made}</div> : made;
}

const Inline = memo(function Inline(props: { text: string; environment: Environment }) {
  return elements(parseInline(props.text, props.environment));
});
