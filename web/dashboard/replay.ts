/** A job's log as something to be played: what a reader had seen after each of its events. */

import type { CalledTool, LogEvent } from "./api.ts";

/** What a reader had seen at some point. */
export interface Seen {
  attempt: number;
  text: string;
  toolCalls: CalledTool[];
  model: string;
  /** The event that was the last one so far; undefined before the first. */
  entry: LogEvent | undefined;
}

interface Step {
  attempt: number;
  /** How much of the attempt's text is there. */
  length: number;
  toolCalls: number;
  model: string;
}

export class Recording {
  readonly entries: readonly LogEvent[];
  readonly #steps: Step[] = [];
  readonly #texts = new Map<number, string>();
  readonly #toolCalls = new Map<number, CalledTool[]>();

  /** A long log costs its length once; each look at it then costs nothing more. */
  constructor(entries: readonly LogEvent[]) {
    this.entries = entries;
    const pieces = new Map<number, string[]>();
    let step: Step = { attempt: 0, length: 0, toolCalls: 0, model: "" };
    for (const entry of entries) {
      const attempt = Number(entry.id.split("-")[0]) || step.attempt;
      // What earlier attempts wrote is void.
      if (attempt !== step.attempt) step = { attempt, length: 0, toolCalls: 0, model: "" };
      step = this.#next(step, entry, pieces);
      this.#steps.push(step);
    }
    for (const [attempt, texts] of pieces) this.#texts.set(attempt, texts.join(""));
  }

  #next(step: Step, { event, data }: LogEvent, pieces: Map<number, string[]>): Step {
    if (event === "delta") {
      const text = String(data.text ?? "");
      add(pieces, step.attempt, text);
      return { ...step, length: step.length + text.length };
    }
    if (event === "tool_call") {
      const { id, name, arguments: given } = data;
      const call = { id: String(id), name: String(name), arguments: String(given) };
      add(this.#toolCalls, step.attempt, call);
      return { ...step, toolCalls: step.toolCalls + 1 };
    }
    return event === "routed" ? { ...step, model: String(data.model ?? "") } : step;
  }

  /** What had been seen after so many events. */
  seen(count: number): Seen {
    const step = this.#steps[count - 1];
    if (!step) return { attempt: 0, text: "", toolCalls: [], model: "", entry: undefined };
    const { attempt, length, toolCalls, model } = step;
    return {
      attempt,
      text: (this.#texts.get(attempt) ?? "").slice(0, length),
      toolCalls: (this.#toolCalls.get(attempt) ?? []).slice(0, toolCalls),
      model,
      entry: this.entries[count - 1],
    };
  }
}

function add<T>(lists: Map<number, T[]>, key: number, value: T): void {
  const list = lists.get(key);
  if (list) list.push(value);
  else lists.set(key, [value]);
}

/** What an event says, in a line. */
export function gist({ event, data }: LogEvent): string {
  if (event === "delta") return JSON.stringify(data.text ?? "");
  return Object.entries(data)
    .filter(([, value]) => value !== null && value !== false && value !== "")
    .map(([name, value]) => `${name}: ${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join(" · ");
}
