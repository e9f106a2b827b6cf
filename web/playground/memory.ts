/** What the playground finds again after a reload, and what its address may say. */

import { DEFAULTS, DOORS, type Settings } from "./doors.ts";

const SETTINGS = "gateway:playground";
const JOB = "gateway:playground:job";

/** A request's id: anything else in an address is nothing. */
const ID = /^\d{8}T\d{6}Z-[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** What stands behind the `#` of the address. It fills fields in; nothing runs because of it. */
export interface Linked {
  readonly job: string | null;
  readonly resumeUrl: string | null;
}

export function linked(hash: string): Linked {
  const parameters = new URLSearchParams(hash.replace(/^#/, ""));
  const job = parameters.get("job");
  const resumeUrl = parameters.get("resumeUrl");
  return {
    job: job && ID.test(job) ? job : null,
    resumeUrl: resumeUrl && /^https?:\/\//.test(resumeUrl) ? resumeUrl : null,
  };
}

/** The address that opens a job in another tab. */
export function jobLink(id: string): string {
  return `#job=${encodeURIComponent(id)}`;
}

export function readSettings(): Settings {
  const kept = value(SETTINGS) as Partial<Settings> | null;
  const known = Object.entries(DEFAULTS).map(([name, ours]) => {
    const theirs = kept?.[name as keyof Settings];
    return [name, typeof theirs === "string" ? theirs : ours];
  });
  const settings = Object.fromEntries(known) as Settings;
  return DOORS.some(({ name }) => name === settings.door)
    ? settings
    : { ...settings, door: DEFAULTS.door };
}

export function keepSettings(settings: Settings): void {
  put(SETTINGS, settings);
}

/** The job that was being read when the page was left; null where it was over. */
export function readJob(): string | null {
  const id = value(JOB);
  return typeof id === "string" && ID.test(id) ? id : null;
}

export function keepJob(id: string | null): void {
  put(JOB, id);
}

function value(key: string): unknown {
  try {
    return JSON.parse(sessionStorage.getItem(key) ?? "null");
  } catch {
    return null;
  }
}

function put(key: string, kept: unknown): void {
  try {
    sessionStorage.setItem(key, JSON.stringify(kept));
  } catch {
    // It is not found again, then.
  }
}
