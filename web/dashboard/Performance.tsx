/** How long recent requests took, and what went wrong with them. */

import { useMemo } from "react";
import type { Job } from "./api.ts";
import { Chart, type Curve } from "./Chart.tsx";
import { faults, latencies, type Quantiles } from "./figures.ts";
import { Empty, Scroll } from "./Panel.tsx";
import { href } from "./place.ts";
import { When } from "./When.tsx";
import { lasting, whole } from "./words.ts";

const CURVES: readonly Curve[] = [
  { label: "First token", colour: "--good", kind: "dots", written: lasting },
  { label: "Total", colour: "--accent", kind: "dots", written: lasting },
];

export function Latencies({ jobs }: { jobs: readonly Job[] }) {
  const rows = useMemo(() => latencies(jobs), [jobs]);
  const data = useMemo(() => points(jobs), [jobs]);
  if (!rows.length) return <Empty>No request has been completed lately.</Empty>;
  return (
    <>
      <Chart
        label="How long each request took, over time"
        data={data}
        curves={CURVES}
        height={180}
      />
      <Scroll label="Latency by model">
        <table>
          <thead>
            <tr>
              <th scope="col" rowSpan={2}>
                Model
              </th>
              <th scope="col" rowSpan={2} className="number">
                Done
              </th>
              <th scope="colgroup" colSpan={2} className="group">
                First token
              </th>
              <th scope="colgroup" colSpan={2} className="group">
                Total
              </th>
            </tr>
            <tr>
              <Quantile name="p50" of="first token" />
              <Quantile name="p95" of="first token" />
              <Quantile name="p50" of="total" />
              <Quantile name="p95" of="total" />
            </tr>
          </thead>
          <tbody>
            {rows.map(({ model, jobs, firstToken, total }) => (
              <tr key={model}>
                <th scope="row" className="model">
                  {model ? <a href={href("requests", { model })}>{model}</a> : "All models"}
                </th>
                <td className="number">{whole(jobs)}</td>
                <Times of={firstToken} />
                <Times of={total} />
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
    </>
  );
}

function Quantile({ name, of }: { name: string; of: string }) {
  return (
    <th scope="col" className="number" aria-label={`${of}, ${name}`}>
      {name}
    </th>
  );
}

function Times({ of }: { of: Quantiles | null }) {
  return (
    <>
      <td className="number">{lasting(of?.p50)}</td>
      <td className="number">{lasting(of?.p95)}</td>
    </>
  );
}

/** Oldest first, as a chart wants them. */
function points(jobs: readonly Job[]): (number | null)[][] {
  const done = jobs.filter(({ state }) => state === "completed").reverse();
  done.sort((one, other) => one.created_at - other.created_at);
  return [
    done.map(({ created_at }) => created_at),
    done.map(({ first_token_s }) => first_token_s),
    done.map(({ duration_s }) => duration_s),
  ];
}

export function Faults({ jobs }: { jobs: readonly Job[] }) {
  const found = useMemo(() => faults(jobs), [jobs]);
  if (!found.length) return <Empty>No request has failed lately.</Empty>;
  const most = found[0]?.count ?? 1;
  return (
    <ul className="faults">
      {found.map(({ code, count, message, last }) => (
        <li key={code}>
          <p>
            <a href={href("requests", { state: "error" })}>{code}</a>
            <strong>{whole(count)}</strong>
          </p>
          <span className="meter bad" aria-hidden="true">
            <span style={{ width: `${(count / most) * 100}%` }} />
          </span>
          <p className="soft small">
            {message} Last at <When at={last} />.
          </p>
        </li>
      ))}
    </ul>
  );
}
