/** One request: what was asked, what came of it, and its log to play. */

import type { ReactNode } from "react";
import type { Admin, WholeJob } from "./api.ts";
import { Chip } from "./Chip.tsx";
import { Failure, Loading, Panel } from "./Panel.tsx";
import { Phases } from "./Phases.tsx";
import { Player } from "./Player.tsx";
import { href } from "./place.ts";
import { useAsked } from "./useAsked.ts";
import { When } from "./When.tsx";
import { dollars, lasting, whole } from "./words.ts";

const AGAIN_MS = 1000;

export function RequestPage({ admin, id }: { admin: Admin; id: string }) {
  const asked = useAsked((signal) => admin.job(id, signal), id, AGAIN_MS);
  const job = asked.value;
  return (
    <div className="page">
      <p className="back">
        <a href={href("requests")}>← All requests</a>
      </p>
      <h1 className="id">{id}</h1>
      {asked.error && <Failure error={asked.error} again={asked.ask} />}
      {asked.loading && <Loading what="the request" />}
      {job && <Whole job={job} />}
    </div>
  );
}

function Whole({ job }: { job: WholeJob }) {
  return (
    <div className="grid">
      <Panel title="What happened" aside={<Chip state={job.state} />} className="full">
        {job.error && (
          <p className="notice bad">
            <strong>{job.error.code}</strong> {job.error.message}
          </p>
        )}
        <Phases job={job} />
        <Facts job={job} />
      </Panel>
      <Panel title="Asked" aside={`${job.messages.length} messages`}>
        <Messages messages={job.messages} />
      </Panel>
      <Panel title="Replay" aside={`${whole(job.events.length)} events`} className="wide">
        <Player entries={job.events} />
      </Panel>
    </div>
  );
}

function Facts({ job }: { job: WholeJob }) {
  const { usage } = job;
  const facts: [string, ReactNode][] = [
    ["Made", <When key="made" at={job.created_at} />],
    ["App", job.app],
    ["User", job.user ?? "–"],
    ["Door", job.door],
    ["Model", job.model ?? "–"],
    ["Provider", job.provider ?? "–"],
    ["Attempts", whole(job.attempt)],
    [
      usage?.estimated ? "Tokens (estimated)" : "Tokens",
      usage ? `${whole(usage.prompt_tokens)} in, ${whole(usage.completion_tokens)} out` : "–",
    ],
    ["First token", lasting(job.first_token_s)],
    ["Total", lasting(job.duration_s)],
  ];
  if (job.cost_usd) facts.push(["Cost", dollars(job.cost_usd)]);
  if (job.callback) {
    const find = href("callbacks", { app: job.app });
    facts.push([
      "Callback",
      <a key="callback" href={find}>
        see callbacks
      </a>,
    ]);
  }
  return (
    <dl className="sheet">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function Messages({ messages }: { messages: WholeJob["messages"] }) {
  return (
    <ol className="messages">
      {messages.map(({ role, content }, nth) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: they never change their order.
        <li key={nth}>
          <p className="role">{role}</p>
          <pre dir="auto">{written(content)}</pre>
        </li>
      ))}
    </ol>
  );
}

/** A message's text; one of several parts as the JSON that it is. */
function written(content: unknown): string {
  if (typeof content === "string") return content;
  return content == null ? "" : JSON.stringify(content, null, 2);
}
