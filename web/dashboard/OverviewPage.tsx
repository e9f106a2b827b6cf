/** How the gateway is now. */

import type { ReactNode } from "react";
import type { Admin, Job, Overview } from "./api.ts";
import { Chart, type Curve } from "./Chart.tsx";
import { Chip } from "./Chip.tsx";
import { Empty, Failure, Loading, Panel, Scroll } from "./Panel.tsx";
import { Faults, Latencies } from "./Performance.tsx";
import { href } from "./place.ts";
import { useAsked } from "./useAsked.ts";
import type { Sample } from "./useLive.ts";
import { dollars, lasting, short, whole } from "./words.ts";

/** So many of the newest requests speak for how it goes at present. */
const RECENT = 200;
const AGAIN_MS = 5000;
const LOAD: readonly Curve[] = [
  { label: "Waiting", colour: "--warn", kind: "area", written: whole },
  { label: "Running", colour: "--accent", kind: "line", written: whole },
  { label: "Readers", colour: "--good", kind: "line", written: whole },
];

interface OverviewProps {
  admin: Admin;
  overview: Overview;
  samples: readonly Sample[];
}

export function OverviewPage({ admin, overview, samples }: OverviewProps) {
  const recent = useAsked(
    async (signal) => (await admin.jobs({ limit: RECENT }, signal)).jobs,
    "recent",
    AGAIN_MS,
  );
  return (
    <div className="page">
      <h1 className="visually-hidden">Overview</h1>
      <Tiles admin={admin} overview={overview} />
      <div className="grid">
        <Panel title="Load" aside="since you came, up to 10 minutes" className="wide">
          <Load samples={samples} />
        </Panel>
        <Panel title="Queue by app">
          <Apps apps={overview.queue.apps} />
        </Panel>
        <Panel title="Latency" aside={`of the last ${RECENT} requests`} className="wide">
          <Recent asked={recent}>{(jobs) => <Latencies jobs={jobs} />}</Recent>
        </Panel>
        <Panel title="Errors" aside={`in the last ${RECENT} requests`}>
          <Recent asked={recent}>{(jobs) => <Faults jobs={jobs} />}</Recent>
        </Panel>
        <Panel title="Providers">
          <Providers overview={overview} />
        </Panel>
        <Panel title="Circuit breakers">
          <Breakers overview={overview} />
        </Panel>
        <Panel title="Storage">
          <Storage overview={overview} />
        </Panel>
      </div>
    </div>
  );
}

interface RecentProps {
  asked: ReturnType<typeof useAsked<Job[]>>;
  children: (jobs: Job[]) => ReactNode;
}

function Recent({ asked: { value, error, ask }, children }: RecentProps) {
  if (value) return children(value);
  return error ? <Failure error={error} again={ask} /> : <Loading what="requests" />;
}

// Tiles -------------------------------------------------------------------------------------

function Tiles({ admin, overview }: { admin: Admin; overview: Overview }) {
  const { queue, workers, readers, callbacks } = overview;
  return (
    <dl className="tiles">
      <Tile
        name="Waiting"
        value={whole(queue.size)}
        note={
          queue.oldest_wait_s === null || queue.size === 0
            ? `room for ${whole(queue.capacity)}`
            : `longest ${lasting(queue.oldest_wait_s)}`
        }
        mood={queue.size >= queue.capacity ? "bad" : ""}
      />
      <Tile
        name="Workers busy"
        value={
          <>
            {whole(workers.busy)}
            <small> of {whole(workers.count)}</small>
          </>
        }
        note={<Meter share={workers.busy / Math.max(1, workers.count)} />}
      />
      <Tile name="Readers" value={whole(readers)} note="open streams" />
      <Tile
        name="Callbacks owed"
        value={whole(callbacks.pending)}
        note={
          callbacks.dead > 0 ? (
            <a href={href("callbacks", { state: "dead" })}>{whole(callbacks.dead)} given up</a>
          ) : callbacks.oldest_pending_s ? (
            `oldest ${lasting(callbacks.oldest_pending_s)}`
          ) : (
            `${short(callbacks.delivered)} delivered`
          )
        }
        mood={callbacks.dead > 0 ? "bad" : ""}
      />
      <Today admin={admin} />
    </dl>
  );
}

interface TileProps {
  name: string;
  value: ReactNode;
  note: ReactNode;
  mood?: "bad" | "";
}

function Tile({ name, value, note, mood = "" }: TileProps) {
  return (
    <div className={`card tile ${mood}`}>
      <dt>{name}</dt>
      <dd className="value">{value}</dd>
      <dd className="note">{note}</dd>
    </div>
  );
}

function Meter({ share }: { share: number }) {
  return (
    <span className="meter" aria-hidden="true">
      <span style={{ width: `${Math.min(1, share) * 100}%` }} />
    </span>
  );
}

/** What today has taken so far. */
function Today({ admin }: { admin: Admin }) {
  const today = useAsked(
    async (signal) => (await admin.usage({ by: "day", since: midnight() }, signal)).rows,
    "today",
    15_000,
  );
  if (!today.value) return null;
  const tokens = today.value.reduce(
    (sum, row) => sum + row.prompt_tokens + row.completion_tokens,
    0,
  );
  const cost = today.value.reduce((sum, row) => sum + row.cost_usd, 0);
  return (
    <Tile
      name="Tokens today"
      value={short(tokens)}
      note={<a href={href("usage")}>{cost > 0 ? dollars(cost) : "see usage"}</a>}
    />
  );
}

/** The gateway's days are UTC's. */
function midnight(): number {
  return Math.floor(Date.now() / 86_400_000) * 86_400;
}

// Panels ------------------------------------------------------------------------------------

function Load({ samples }: { samples: readonly Sample[] }) {
  const data = [
    samples.map(({ at }) => at),
    samples.map(({ waiting }) => waiting),
    samples.map(({ busy }) => busy),
    samples.map(({ readers }) => readers),
  ];
  const last = samples.at(-1);
  const words = last
    ? `${last.waiting} waiting, ${last.busy} running, ${last.readers} readers now.`
    : "";
  return <Chart label={`Load over time. ${words}`} data={data} curves={LOAD} least={8} />;
}

function Apps({ apps }: { apps: Overview["queue"]["apps"] }) {
  if (!apps.length) return <Empty>Nothing waits and nothing runs.</Empty>;
  const most = Math.max(1, ...apps.map(({ waiting, running }) => waiting + running));
  return (
    <Scroll label="Queue by app">
      <table>
        <thead>
          <tr>
            <th scope="col">App</th>
            <th scope="col" className="number">
              Waiting
            </th>
            <th scope="col" className="number">
              Running
            </th>
            <th scope="col" className="bars">
              <span className="visually-hidden">Share</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {apps.map(({ app, waiting, running }) => (
            <tr key={app}>
              <th scope="row">
                <a href={href("requests", { app })}>{app}</a>
              </th>
              <td className="number">{whole(waiting)}</td>
              <td className="number">{whole(running)}</td>
              <td className="bars" aria-hidden="true">
                <span className="run" style={{ width: `${(running / most) * 100}%` }} />
                <span className="wait" style={{ width: `${(waiting / most) * 100}%` }} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}

function Providers({ overview: { providers } }: { overview: Overview }) {
  if (!providers.length) return <Empty>No provider has a key.</Empty>;
  return (
    <ul className="facts">
      {providers.map(({ name, status }) => (
        <li key={name}>
          <span>{name}</span> <Chip state={status} />
        </li>
      ))}
    </ul>
  );
}

function Breakers({ overview: { breakers } }: { overview: Overview }) {
  if (!breakers.length) return <Empty>No model has failed.</Empty>;
  return (
    <ul className="facts">
      {breakers.map(({ model, provider, state }) => (
        <li key={`${provider}/${model}`}>
          <span className="model">
            {model} <span className="soft">{provider}</span>
          </span>
          <Chip state={state} />
        </li>
      ))}
    </ul>
  );
}

function Storage({ overview: { disk, conversations } }: { overview: Overview }) {
  return (
    <ul className="facts">
      <li>
        <span>Requests outlive a restart</span>
        <span>{disk.durable ? "yes" : "no: DATA_DIR is not set"}</span>
      </li>
      <li>
        <span>Room on the disk</span>
        <span>{disk.low ? "nearly none" : "enough"}</span>
      </li>
      <li>
        <span>Conversations kept</span>
        <span>{whole(conversations)}</span>
      </li>
    </ul>
  );
}
