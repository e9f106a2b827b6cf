/** Where the time of a request went: waiting, thinking, writing. */

import type { Job } from "./api.ts";
import { lasting } from "./words.ts";

interface Phase {
  name: string;
  seconds: number;
}

/** The phases that are over, or as far as they have come. */
export function phases(job: Job, now: number): Phase[] {
  const { created_at, started_at, finished_at, first_token_s } = job;
  const end = finished_at ?? now;
  const started = started_at ?? end;
  // A job's first token is told from when it was made; a lost attempt's may lie before the last.
  const first = first_token_s === null ? end : Math.max(started, created_at + first_token_s);
  const found: Phase[] = [{ name: "Waiting", seconds: started - created_at }];
  if (started_at !== null) found.push({ name: "To the first token", seconds: first - started });
  if (first_token_s !== null) found.push({ name: "Writing", seconds: end - first });
  return found.map(({ name, seconds }) => ({ name, seconds: Math.max(0, seconds) }));
}

export function Phases({ job }: { job: Job }) {
  const found = phases(job, Date.now() / 1000);
  return (
    <ol className="phases">
      {found.map(({ name, seconds }) => (
        <li key={name} style={{ flexGrow: Math.max(seconds, 0.001) }}>
          <span className="bar" aria-hidden="true" />
          {name} <strong>{lasting(seconds)}</strong>
        </li>
      ))}
    </ol>
  );
}
