/** Blocks of Markdown on the page. What is settled is made once; only the last block is made anew. */

import { memo } from "react";
import type { Block, Blocks } from "./blocks.ts";
import { Code } from "./Code.tsx";
import { elements } from "./elements.tsx";
import { heal } from "./heal.ts";
import { type Environment, parse, parseInline } from "./parser.ts";
import "./markdown.css";

/** All of a text. `version` is what changes when `blocks` has grown. */
export function Markdown({ blocks }: { blocks: Blocks; version: number }) {
  const { environment, groups, live } = blocks;
  return (
    <div className="markdown">
      {groups.map((group) => (
        <Group
          key={group[0]?.id}
          blocks={group}
          environment={group.some(mayRefer) ? environment : NOTHING}
        />
      ))}
      {/* A copy: half of a definition must not be remembered. */}
      {live && <Live key={live.id} block={live} environment={copied(environment)} />}
    </div>
  );
}

const NOTHING: Environment = {};

/** The text of a block may use a definition that is yet to come. */
function mayRefer(block: Block): boolean {
  if (block.kind === "code") return false;
  return block.kind === "text"
    ? block.text.includes("[")
    : block.parts.some((p) => p.includes("["));
}

function copied(environment: Environment): Environment {
  return { references: { ...environment.references } };
}

const Group = memo(function Group(props: { blocks: readonly Block[]; environment: Environment }) {
  return props.blocks.map((block) => (
    <Settled key={block.id} block={block} environment={props.environment} />
  ));
});

const Settled = memo(function Settled(props: { block: Block; environment: Environment }) {
  const { block, environment } = props;
  if (block.kind === "text") return <Text {...block} environment={copied(environment)} />;
  return <Parts block={block} environment={environment} />;
});

function Live({ block, environment }: { block: Block; environment: Environment }) {
  if (block.kind === "text") {
    return <Text {...block} text={heal(block.text)} environment={environment} />;
  }
  if (block.kind === "code") return <Parts block={block} environment={environment} />;
  const parts = [...block.parts.slice(0, -1), heal(block.parts.at(-1) ?? "")];
  return <Parts block={{ ...block, parts }} environment={environment} />;
}

function Text(props: {
  text: string;
  goesOn: boolean;
  start: number | null;
  environment: Environment;
}) {
  const made = elements(parse(props.text, props.environment), props.start);
  return props.goesOn ? <div className="md-goes-on">{made}</div> : made;
}

function Parts({ block, environment }: { block: Block; environment: Environment }) {
  if (block.kind === "code") return <Code language={block.language} parts={block.parts} />;
  if (block.kind === "text") return null;
  const known = block.parts.some((part) => part.includes("[")) ? environment : NOTHING;
  return (
    <p dir="auto">
      {block.parts.map((part, i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: its place is what a part is known by
        <Inline key={i} text={part} environment={known} />
      ))}
    </p>
  );
}

const Inline = memo(function Inline(props: { text: string; environment: Environment }) {
  return elements(parseInline(props.text, props.environment));
});
