/** What a list of jobs says as a whole: how long they took, and what went wrong. */

import type { Job } from "./api.ts";

export interface Quantiles {
  p50: number;
  p95: number;
}

export interface Latency {
  /** "" for all models together. */
  model: string;
  jobs: number;
  firstToken: Quantiles | null;
  total: Quantiles | null;
}

/** The nearest-rank quantile: the smallest value that no less than this share are at or under. */
export function quantile(ascending: readonly number[], share: number): number {
  const rank = Math.max(1, Math.ceil(share * ascending.length));
  return ascending[rank - 1] as number;
}

/** How long completed jobs took, of all models and of each, the most used first. */
export function latencies(jobs: readonly Job[]): Latency[] {
  const completed = jobs.filter((job) => job.state === "completed");
  const byModel = new Map<string, Job[]>();
  for (const job of completed) {
    const model = job.model ?? "unknown";
    byModel.set(model, [...(byModel.get(model) ?? []), job]);
  }
  const each = [...byModel].map(([model, of]) => latency(model, of));
  each.sort((one, other) => other.jobs - one.jobs || one.model.localeCompare(other.model));
  return each.length > 1 ? [latency("", completed), ...each] : each;
}

function latency(model: string, jobs: readonly Job[]): Latency {
  return {
    model,
    jobs: jobs.length,
    firstToken: quantiles(jobs.map((job) => job.first_token_s)),
    total: quantiles(jobs.map((job) => job.duration_s)),
  };
}

function quantiles(values: readonly (number | null)[]): Quantiles | null {
  const ascending = values.filter((value) => value !== null).sort((one, other) => one - other);
  if (!ascending.length) return null;
  return { p50: quantile(ascending, 0.5), p95: quantile(ascending, 0.95) };
}

export interface Fault {
  code: string;
  count: number;
  /** The newest one's. */
  message: string;
  last: number;
}

/** The errors of a list that is newest first, by their code, the most frequent first. */
export function faults(jobs: readonly Job[]): Fault[] {
  const found = new Map<string, Fault>();
  for (const { error, finished_at, created_at } of jobs) {
    if (!error) continue;
    const known = found.get(error.code);
    if (known) known.count += 1;
    else found.set(error.code, { ...error, count: 1, last: finished_at ?? created_at });
  }
  return [...found.values()].sort((one, other) => other.count - one.count);
}
