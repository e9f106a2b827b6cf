/** Tokens and what they cost: by day, by app, by model, by user. */

import { memo, useMemo } from "react";
import type { Admin, Spent } from "./api.ts";
import { Chart, type Curve } from "./Chart.tsx";
import { Select } from "./Filters.tsx";
import { Empty, Failure, Loading, Panel, Scroll } from "./Panel.tsx";
import { href, narrow } from "./place.ts";
import { useAsked } from "./useAsked.ts";
import { dollars, short, whole } from "./words.ts";

const AGAIN_MS = 15_000;
const SPANS = [
  ["1", "Today"],
  ["7", "7 days"],
  ["30", "30 days"],
  ["90", "90 days"],
] as const;
const BY = [
  ["app", "App"],
  ["model", "Model"],
  ["user", "User"],
] as const;
const DAY_S = 86_400;
const TOKENS: readonly Curve[] = [
  { label: "Tokens", colour: "--accent", kind: "bars", written: short },
];
const COSTS: readonly Curve[] = [
  { label: "Cost", colour: "--good", kind: "bars", written: dollars },
];

interface UsageProps {
  admin: Admin;
  filters: Readonly<Record<string, string>>;
}

export const UsagePage = memo(function UsagePage({ admin, filters }: UsageProps) {
  const days = SPANS.some(([value]) => value === filters.days) ? String(filters.days) : "30";
  const by = BY.some(([value]) => value === filters.by) ? String(filters.by) : "app";
  const set = (name: string) => (value: string) => narrow("usage", name, value);
  const ask = (by: string) => async (signal: AbortSignal) =>
    (await admin.usage({ by, since: firstDay(Number(days)) }, signal)).rows;
  const daily = useAsked(ask("day"), `day ${days}`, AGAIN_MS);
  const shared = useAsked(ask(by), `${by} ${days}`, AGAIN_MS);
  return (
    <div className="page">
      <h1>Usage</h1>
      <search className="filters">
        <Select name="Span" value={days} options={SPANS} change={set("days")} />
        <Select name="By" value={by} options={BY} change={set("by")} />
      </search>
      {daily.error && <Failure error={daily.error} again={daily.ask} />}
      {daily.loading && <Loading what="usage" />}
      {daily.value && <Days rows={daily.value} days={Number(days)} />}
      {shared.value && <Shares rows={shared.value} by={by} />}
    </div>
  );
});

/** The gateway's days are UTC's. */
function firstDay(days: number): number {
  return (Math.floor(Date.now() / 1000 / DAY_S) - days + 1) * DAY_S;
}

const tokens = (row: Spent) => row.prompt_tokens + row.completion_tokens;

function Days({ rows, days }: { rows: readonly Spent[]; days: number }) {
  const { at, used, spent, priced } = useMemo(() => everyDay(rows, days), [rows, days]);
  const total = rows.reduce((sum, row) => sum + tokens(row), 0);
  const cost = rows.reduce((sum, row) => sum + row.cost_usd, 0);
  const jobs = rows.reduce((sum, row) => sum + row.jobs, 0);
  return (
    <div className="grid halves">
      <Panel title="Tokens by day" aside={`${short(total)} in ${whole(jobs)} requests`}>
        <Chart
          label={`Tokens by day, ${whole(total)} in all`}
          data={[at, used]}
          curves={TOKENS}
          least={10}
        />
      </Panel>
      {priced && (
        <Panel title="Cost by day" aside={dollars(cost)}>
          <Chart
            label={`Cost by day, ${dollars(cost)} in all`}
            data={[at, spent]}
            curves={COSTS}
            least={0.0001}
          />
        </Panel>
      )}
    </div>
  );
}

/** Also the days on which nothing was asked. */
function everyDay(rows: readonly Spent[], days: number) {
  const by = new Map(rows.map((row) => [row.key, row]));
  const first = firstDay(days);
  const at = Array.from({ length: days }, (_, nth) => first + nth * DAY_S);
  const row = (day: number) => by.get(new Date(day * 1000).toISOString().slice(0, 10));
  const counted = (day: number) => {
    const found = row(day);
    return found ? tokens(found) : 0;
  };
  return {
    at,
    used: at.map(counted),
    spent: at.map((day) => row(day)?.cost_usd ?? 0),
    priced: rows.some(({ cost_usd }) => cost_usd),
  };
}

function Shares({ rows, by }: { rows: readonly Spent[]; by: string }) {
  const name = BY.find(([value]) => value === by)?.[1] ?? by;
  const sorted = [...rows].sort(
    (one, other) => other.cost_usd - one.cost_usd || tokens(other) - tokens(one),
  );
  const priced = rows.some(({ cost_usd }) => cost_usd);
  if (!rows.length) return <Empty>Nothing was asked in this time.</Empty>;
  return (
    <Panel title={`By ${name.toLowerCase()}`}>
      <Scroll label={`Usage by ${by}`}>
        <table>
          <thead>
            <tr>
              <th scope="col">{name}</th>
              {["Requests", "Tokens in", "Tokens out", ...(priced ? ["Cost"] : [])].map((each) => (
                <th key={each} scope="col" className="number">
                  {each}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {sorted.map((row) => (
              <tr key={`${row.app ?? ""}/${row.key ?? ""}`}>
                <th scope="row" className="model">
                  {row.key ? (
                    <a href={href("requests", { app: row.app ?? "", [by]: row.key })}>{row.key}</a>
                  ) : (
                    <span className="soft">none</span>
                  )}
                  {row.app && <span className="soft"> · {row.app}</span>}
                </th>
                <td className="number">{whole(row.jobs)}</td>
                <td className="number">{whole(row.prompt_tokens)}</td>
                <td className="number">{whole(row.completion_tokens)}</td>
                {priced && <td className="number">{dollars(row.cost_usd)}</td>}
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
    </Panel>
  );
}
