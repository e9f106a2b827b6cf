import { describe, expect, test } from "vitest";
import { faults, latencies, quantile } from "../figures.ts";
import { job } from "./jobs.ts";

describe("quantile", () => {
  test("is the smallest value that the share is at or under", () => {
    const values = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
    expect([0, 0.5, 0.95, 1].map((share) => quantile(values, share))).toEqual([1, 5, 10, 10]);
    expect(quantile([7], 0.95)).toBe(7);
  });
});

describe("latencies", () => {
  test("are of completed jobs only, all together first, then the most used model", () => {
    const jobs = [
      job({ model: "b", first_token_s: 1, duration_s: 4 }),
      job({ model: "a", first_token_s: 3, duration_s: 9 }),
      job({ model: "b", first_token_s: 2, duration_s: 5 }),
      job({ model: "b", state: "error", first_token_s: 90, duration_s: 99 }),
    ];
    expect(latencies(jobs)).toEqual([
      { model: "", jobs: 3, firstToken: { p50: 2, p95: 3 }, total: { p50: 5, p95: 9 } },
      { model: "b", jobs: 2, firstToken: { p50: 1, p95: 2 }, total: { p50: 4, p95: 5 } },
      { model: "a", jobs: 1, firstToken: { p50: 3, p95: 3 }, total: { p50: 9, p95: 9 } },
    ]);
  });

  test("of one model need no sum, and an answer without a first token has none", () => {
    expect(latencies([job({ first_token_s: null })])).toEqual([
      { model: "echo", jobs: 1, firstToken: null, total: { p50: 6, p95: 6 } },
    ]);
    expect(latencies([])).toEqual([]);
  });
});

describe("faults", () => {
  test("are counted by code; the newest one speaks for its kind", () => {
    const failed = (code: string, message: string, finished_at: number) =>
      job({ state: "error", error: { code, message }, finished_at });
    const jobs = [failed("A", "a2", 9), failed("B", "b3", 8), job(), failed("B", "b2", 7)];
    expect(faults(jobs)).toEqual([
      { code: "B", count: 2, message: "b3", last: 8 },
      { code: "A", count: 1, message: "a2", last: 9 },
    ]);
  });
});
