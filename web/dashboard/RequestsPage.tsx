/** Every request that is still kept, newest first. */

import { memo } from "react";
import type { Admin, Job } from "./api.ts";
import { Chip } from "./Chip.tsx";
import { distinct, Select, Text } from "./Filters.tsx";
import { Older } from "./Older.tsx";
import { Empty, Failure, Loading, Scroll } from "./Panel.tsx";
import { href, narrow } from "./place.ts";
import { usePages } from "./usePages.ts";
import { When } from "./When.tsx";
import { dollars, lasting, whole } from "./words.ts";

const PAGE = 50;
const AGAIN_MS = 3000;
const STATES = ["queued", "processing", "completed", "error", "cancelled", "expired"];
const DOORS = ["ai_request", "n8n", "chat", "assistant", "ask", "openai", "responses"];
const SPANS = [
  ["", "Any time"],
  ["3600", "Last hour"],
  ["86400", "Last day"],
  ["604800", "Last week"],
] as const;
const MORE = ["app", "user", "door", "model"] as const;

interface RequestsProps {
  admin: Admin;
  filters: Readonly<Record<string, string>>;
  /** Names of apps to offer. */
  apps: readonly string[];
}

export const RequestsPage = memo(function RequestsPage({ admin, filters, apps }: RequestsProps) {
  const { span = "", ...asked } = filters;
  const paged = usePages(
    async (before, signal) => {
      const since = Number(span) ? Math.floor(Date.now() / 1000) - Number(span) : "";
      const found = await admin.jobs({ ...asked, since, before, limit: PAGE }, signal);
      return { items: found.jobs, next: found.next };
    },
    JSON.stringify(filters),
    AGAIN_MS,
  );
  const { first, items } = paged;
  return (
    <div className="page">
      <h1>Requests</h1>
      <RequestFilters filters={filters} apps={apps} jobs={items} />
      {first.error && <Failure error={first.error} again={first.ask} />}
      {first.loading && <Loading what="requests" />}
      {first.value && items.length === 0 && (
        <Empty>
          {Object.keys(filters).length ? (
            <>
              No request is like that. <a href={href("requests")}>Show all</a>
            </>
          ) : (
            "No request has been made yet. They appear here as they come."
          )}
        </Empty>
      )}
      {items.length > 0 && <JobTable jobs={items} />}
      <Older paged={paged} />
    </div>
  );
});

interface FilterProps {
  filters: Readonly<Record<string, string>>;
  apps: readonly string[];
  jobs: readonly Job[];
}

function RequestFilters({ filters, apps, jobs }: FilterProps) {
  const set = (name: string) => (value: string) => narrow("requests", name, value);
  const value = (name: string) => filters[name] ?? "";
  const known = (of: (job: Job) => string | null) => distinct(jobs.map(of));
  const count = MORE.filter((name) => filters[name]).length;
  return (
    <search className="filters">
      <Text
        name="Search"
        value={value("q")}
        placeholder="Words of the prompt, a user, an id"
        change={set("q")}
      />
      <Select name="State" value={value("state")} options={offered(STATES)} change={set("state")} />
      <Select name="Made" value={value("span")} options={SPANS} change={set("span")} />
      <details open={count > 0}>
        <summary>More filters{count > 0 && ` (${count})`}</summary>
        <div className="filters">
          <Text
            name="App"
            value={value("app")}
            known={distinct(
              apps,
              known((job) => job.app),
            )}
            change={set("app")}
          />
          <Text
            name="User"
            value={value("user")}
            known={known((job) => job.user)}
            change={set("user")}
          />
          <Select name="Door" value={value("door")} options={offered(DOORS)} change={set("door")} />
          <Text
            name="Model"
            value={value("model")}
            known={known((job) => job.model)}
            change={set("model")}
          />
        </div>
      </details>
    </search>
  );
}

/** Each by its own name, after "All". */
export function offered(values: readonly string[]): [string, string][] {
  return [["", "All"], ...values.map((each): [string, string] => [each, each])];
}

function JobTable({ jobs }: { jobs: readonly Job[] }) {
  const costs = jobs.some((job) => job.cost_usd);
  return (
    <div className="card">
      <Scroll label="Requests">
        <table className="list">
          <thead>
            <tr>
              <th scope="col">Made</th>
              <th scope="col">Prompt</th>
              <th scope="col">State</th>
              <th scope="col">App</th>
              <th scope="col">Door</th>
              <th scope="col">Model</th>
              <th scope="col" className="number">
                First token
              </th>
              <th scope="col" className="number">
                Total
              </th>
              <th scope="col" className="number">
                Tokens
              </th>
              {costs && (
                <th scope="col" className="number">
                  Cost
                </th>
              )}
            </tr>
          </thead>
          <tbody>
            {jobs.map((job) => (
              <Row key={job.request_id} job={job} costs={costs} />
            ))}
          </tbody>
        </table>
      </Scroll>
    </div>
  );
}

function Row({ job, costs }: { job: Job; costs: boolean }) {
  return (
    <tr>
      <td className="when">
        <When at={job.created_at} />
      </td>
      <th scope="row" className="prompt">
        <a href={href("requests", {}, job.request_id)} dir="auto">
          {job.prompt.trim() || "(empty)"}
        </a>
      </th>
      <td>
        <Chip state={job.state} />
        {job.error && <span className="soft code"> {job.error.code}</span>}
      </td>
      <td>
        {job.app}
        {job.user && <span className="soft"> · {job.user}</span>}
      </td>
      <td>{job.door}</td>
      <td className="model">{job.model ?? "–"}</td>
      <td className="number">{lasting(job.first_token_s)}</td>
      <td className="number">{lasting(job.duration_s)}</td>
      <td className="number">{job.usage ? whole(job.usage.total_tokens) : "–"}</td>
      {costs && <td className="number">{dollars(job.cost_usd)}</td>}
    </tr>
  );
}
