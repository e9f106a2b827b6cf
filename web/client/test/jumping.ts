/** Streams read on a clock that jumps: time passes only where a test lets it. */

import { afterEach, beforeEach, expect, vi } from "vitest";
import { activeConnections, type StreamOptions, streamAssistantResponse } from "../src/index.ts";
import { Reading, type Scripted } from "./scripted.ts";

export const ID = "20261120T224400Z-0b9f6c1e-8f0e-4d55-9c3b-2a7a3a1f0d11";

/** Have each test of the file begin at one moment, and leave no connection and no timer. */
export function jump(): void {
  beforeEach(() => {
    vi.useFakeTimers();
    vi.spyOn(Math, "random").mockReturnValue(0);
  });

  afterEach(() => {
    expect(activeConnections()).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);
    vi.useRealTimers();
    vi.restoreAllMocks();
  });
}

/** Let everything happen that is due within `ms`. */
export const pass = (ms = 0) => vi.advanceTimersByTimeAsync(ms);

export function reading(gateway: Scripted, options: StreamOptions = {}) {
  const all = { url: "http://gateway", fetch: gateway.fetch, ...options };
  return new Reading(streamAssistantResponse(ID, all));
}
