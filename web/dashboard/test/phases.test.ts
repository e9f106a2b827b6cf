import { expect, test } from "vitest";
import { phases } from "../Phases.tsx";
import { job } from "./jobs.ts";

const seconds = (but: Parameters<typeof job>[0]) => phases(job(but), 1010).map((of) => of.seconds);

test("a completed job waited, thought and wrote", () => {
  expect(phases(job(), 2000)).toEqual([
    { name: "Waiting", seconds: 1 },
    { name: "To the first token", seconds: 1 },
    { name: "Writing", seconds: 4 },
  ]);
});

test("a job under way has come as far as now", () => {
  const unfinished = { finished_at: null, duration_s: null };
  expect(seconds({ ...unfinished, started_at: null, first_token_s: null })).toEqual([10]);
  expect(seconds({ ...unfinished, first_token_s: null })).toEqual([1, 9]);
  expect(seconds(unfinished)).toEqual([1, 1, 8]);
});

test("a first token that an earlier attempt gave makes no phase negative", () => {
  expect(seconds({ started_at: 1005, first_token_s: 2 })).toEqual([5, 0, 1]);
});
