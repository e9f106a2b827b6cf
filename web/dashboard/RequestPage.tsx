/** One request: what was asked, what came of it, and its log to play. */

import { type ReactNode, useEffect, useState } from "react";
import type { Admin, AdminJob } from "./api.ts";
import { CopyButton } from "../theme/CopyButton.tsx";
import { CallbackPanel } from "./CallbackPanel.tsx";
import { Chip } from "./Chip.tsx";
import { Failure, Loading, Panel } from "./Panel.tsx";
import { Phases } from "./Phases.tsx";
import { Player } from "./Player.tsx";
import { useAsked } from "./useAsked.ts";
import { When } from "./When.tsx";
import { counted, dollars, lasting, whole } from "./words.ts";

const AGAIN_MS = 1000;
/** The whole log is asked for: the longer it is, the less often. */
const AGAIN_MS_PER_EVENT = 10;
const UNDER_WAY: ReadonlySet<string> = new Set(["queued", "processing", "waiting", "pending"]);

/** When to ask again, in milliseconds; null where nothing more will come, nor from its callback. */
function patience({ state, callback, events }: AdminJob): number | null {
  const open = [state, callback?.state].some((each) => each && UNDER_WAY.has(each));
  // In steps, so that not every event begins the wait anew.
  return open ? AGAIN_MS * Math.ceil(1 + (events.length * AGAIN_MS_PER_EVENT) / 10_000) : null;
}

interface RequestProps {
  admin: Admin;
  id: string;
  /** The address of the list that it is one of. */
  list: string;
}

export function RequestPage({ admin, id, list }: RequestProps) {
  const [everyMs, setEveryMs] = useState<number | null>(AGAIN_MS);
  const asked = useAsked((signal) => admin.job(id, signal), id, everyMs);
  const job = asked.value;
  useEffect(() => setEveryMs(job && patience(job)), [job]);
  return (
    <div className="page">
      <p className="back">
        <a href={list}>← All requests</a>
      </p>
      <div className="heading">
        <h1 className="id">{id}</h1>
        <CopyButton text={() => id} what="the request's id" />
      </div>
      {asked.error && <Failure error={asked.error} again={asked.ask} />}
      {asked.loading && <Loading what="the request" />}
      {job && <Whole job={job} admin={admin} changed={asked.ask} />}
    </div>
  );
}

interface WholeProps {
  job: AdminJob;
  admin: Admin;
  changed: () => void;
}

function Whole({ job, admin, changed }: WholeProps) {
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
      <div className="stack">
        <Panel title="Asked" aside={counted(job.messages.length, "message")}>
          <Messages messages={job.messages} />
        </Panel>
        {job.callback && <CallbackPanel admin={admin} delivery={job.callback} changed={changed} />}
      </div>
      <Panel title="Replay" aside={counted(job.events.length, "event")} className="wide">
        <Player entries={job.events} />
      </Panel>
    </div>
  );
}

function Facts({ job }: { job: AdminJob }) {
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

function Messages({ messages }: { messages: AdminJob["messages"] }) {
  return (
    <ol className="messages">
      {messages.map(({ role, content, tool_calls }, nth) => (
        // They never change their order.
        <li key={nth}>
          <p className="role">{role}</p>
          {content && (
            <pre dir="auto" tabIndex={0}>
              {written(content)}
            </pre>
          )}
          {tool_calls && <pre tabIndex={0}>{written(tool_calls)}</pre>}
        </li>
      ))}
    </ol>
  );
}

/** A message's text; what is none as the JSON that it is. */
function written(content: unknown): string {
  return typeof content === "string" ? content : JSON.stringify(content, null, 2);
}
