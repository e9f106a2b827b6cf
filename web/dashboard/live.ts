/** The gateway's overview as it changes: one stream that comes back after every end. */

import { EventDecoder } from "ai-streaming-gateway-client";
import { type Admin, type Overview, Refused, Unreachable } from "./api.ts";

export interface Listener {
  overview(overview: Overview): void;
  /** The stream broke, or there is none now; it is tried again before long. */
  lost(error: Error): void;
  /** The gateway does not want this caller; nothing more is tried. */
  refused(error: Refused): void;
}

/** The gateway tells something every second or so: much longer, and the line is dead. */
const SILENCE_MS = 10_000;
const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 15_000;

/** Tell `listener` every overview until `signal` says that it is enough. */
export async function follow(admin: Admin, listener: Listener, signal: AbortSignal): Promise<void> {
  let waitMs = FIRST_WAIT_MS;
  const heard = (overview: Overview) => {
    waitMs = FIRST_WAIT_MS;
    listener.overview(overview);
  };
  while (!signal.aborted) {
    let lost = new Error("The stream ended.");
    try {
      await read(admin, heard, signal);
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Refused && (error.status === 401 || error.status === 403)) {
        listener.refused(error);
        return;
      }
      if (!(error instanceof Refused || error instanceof Unreachable)) throw error;
      lost = error;
    }
    if (signal.aborted) return;
    listener.lost(lost);
    await pause(waitMs, signal);
    waitMs = Math.min(waitMs * 2, LONGEST_WAIT_MS);
  }
}

async function read(
  admin: Admin,
  heard: (overview: Overview) => void,
  signal: AbortSignal,
): Promise<void> {
  const silence = new AbortController();
  const both = AbortSignal.any([signal, silence.signal]);
  const watch = () => setTimeout(() => silence.abort(), SILENCE_MS);
  let timer = watch();
  try {
    const response = await admin.events(both);
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    const decoder = new EventDecoder();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      clearTimeout(timer);
      timer = watch();
      for (const { event, data } of decoder.feed(value)) {
        if (event === "overview") heard(JSON.parse(data) as Overview);
      }
    }
  } catch (error) {
    throw error instanceof Refused ? error : new Unreachable("The gateway does not answer.");
  } finally {
    clearTimeout(timer);
  }
}

/** Wait, but no longer than until the network or the page comes back. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = new AbortController();
    const end = () => {
      clearTimeout(timer);
      done.abort();
      resolve();
    };
    const timer = setTimeout(end, ms);
    const once = { signal: done.signal };
    signal.addEventListener("abort", end, once);
    addEventListener("online", end, once);
    document.addEventListener("visibilitychange", () => document.hidden || end(), once);
  });
}
