/** What a chat leaves in the browser's session, so that a reload finds it. */

import type { Kept } from "./exchange.ts";

/**
 * How often an answer on its way is kept, and how much longer for each character of it: to write
 * much takes long. What comes between is read again from the gateway.
 */
const EVERY_MS = 400;
const EVERY_MS_PER_CHARACTER = 0.005;

/** The browser's sessionStorage, or nothing where it is closed to us. */
export function sessionStore(): Storage | null {
  try {
    return window.sessionStorage;
  } catch {
    return null;
  }
}

export class Keeper {
  #store: Storage | null;
  #name: string;
  #ids: readonly string[] = [];
  #timer: ReturnType<typeof setTimeout> | null = null;
  #soon = new Map<string, () => Kept>();

  /** Keep under a name; with no store, nothing is kept and nothing breaks. */
  constructor(store: Storage | null, name: string) {
    this.#store = store;
    this.#name = name;
  }

  /** All that was kept, in its order; what cannot be read is left out. */
  read(): Kept[] {
    const ids = this.#value(this.#name);
    if (!Array.isArray(ids)) return [];
    return ids.flatMap((id) => {
      const kept = this.#value(this.#key(String(id)));
      return isKept(kept) && kept.id === id ? [kept] : [];
    });
  }

  /** These are the exchanges, in this order; others are forgotten. */
  list(ids: readonly string[]): void {
    for (const id of this.#ids) if (!ids.includes(id)) this.#store?.removeItem(this.#key(id));
    this.#ids = ids;
    this.#put(this.#name, ids);
  }

  keep(kept: Kept): void {
    this.#soon.delete(kept.id);
    if (this.#ids.includes(kept.id)) this.#put(this.#key(kept.id), kept);
  }

  /** Keep a text of that length before long; many calls are one. */
  keepSoon(id: string, length: number, kept: () => Kept): void {
    this.#soon.set(id, kept);
    this.#timer ??= setTimeout(
      () => {
        this.#timer = null;
        for (const each of [...this.#soon.values()]) this.keep(each());
      },
      EVERY_MS + length * EVERY_MS_PER_CHARACTER,
    );
  }

  clear(): void {
    this.#soon.clear();
    this.list([]);
    this.#store?.removeItem(this.#name);
  }

  #key(id: string): string {
    return `${this.#name}:${id}`;
  }

  #value(key: string): unknown {
    try {
      return JSON.parse(this.#store?.getItem(key) ?? "null");
    } catch {
      return null;
    }
  }

  #put(key: string, value: unknown): void {
    const text = JSON.stringify(value);
    for (let drop = 0; ; drop += 1) {
      try {
        this.#store?.setItem(key, text);
        return;
      } catch {
        // It is full: the oldest answer makes room, but never the newest.
        const oldest = this.#ids[drop];
        if (oldest === undefined || drop >= this.#ids.length - 1) return;
        this.#store?.removeItem(this.#key(oldest));
      }
    }
  }
}

function isKept(value: unknown): value is Kept {
  const kept = value as Partial<Kept> | null;
  return (
    typeof kept?.id === "string" &&
    typeof kept.prompt === "string" &&
    typeof kept.text === "string" &&
    typeof kept.phase === "string" &&
    Array.isArray(kept.actions)
  );
}
