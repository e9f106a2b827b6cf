/** Jobs to reckon with. */

import type { Job } from "../api.ts";

/** One that was completed, but for what is said of it. */
export function job(but: Partial<Job> = {}): Job {
  return {
    request_id: "20261120T224400Z-0b9f6c1e-8f0e-4d55-9c3b-2a7a3a1f0d11",
    app: "shop",
    user: null,
    door: "chat",
    state: "completed",
    model: "echo",
    provider: "simulator",
    created_at: 1000,
    started_at: 1001,
    finished_at: 1006,
    first_token_s: 2,
    duration_s: 6,
    attempt: 1,
    usage: null,
    error: null,
    prompt: "one",
    cost_usd: 0,
    ...but,
  };
}
