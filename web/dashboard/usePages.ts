/** A list that comes in pages, newest first: the first is kept fresh, older ones are added. */

import { useEffect, useRef, useState } from "react";
import { type Asked, useAsked } from "./useAsked.ts";

export interface ListPage<T> {
  items: T[];
  next: string | null;
}

export interface Paged<T> {
  first: Asked<ListPage<T>>;
  items: readonly T[];
  more: boolean;
  older: { loading: boolean; error: Error | null; ask: () => void };
}

interface Older<T> {
  key: string;
  items: T[];
  next: string | null;
  loading: boolean;
  error: Error | null;
}

type FetchPage<T> = (before: string, signal?: AbortSignal) => Promise<ListPage<T>>;

/** Pages in which nothing was found that are passed over before somebody is asked to go on. */
const EMPTY_PAGES = 10;

/** The next page with something in it: what is rare is looked for step by step. */
async function filled<T>(
  fetchPage: FetchPage<T>,
  before: string,
  signal?: AbortSignal,
): Promise<ListPage<T>> {
  let page = await fetchPage(before, signal);
  for (let nth = 1; nth < EMPTY_PAGES && !page.items.length && page.next !== null; nth++) {
    page = await fetchPage(page.next, signal);
  }
  return page;
}

/** `fetchPage` is asked with where the page before ended; "" for the first. */
export function usePages<T>(fetchPage: FetchPage<T>, key: string, everyMs: number): Paged<T> {
  const [older, setOlder] = useState<Older<T> | null>(null);
  const mine = older?.key === key ? older : null;
  // A fresh first page would leave a gap before the older ones: it rests while they are seen.
  const first = useAsked((signal) => filled(fetchPage, "", signal), key, mine ? null : everyMs);
  const current = useRef(key);
  useEffect(() => {
    current.current = key;
  }, [key]);

  const next = mine ? mine.next : (first.value?.next ?? null);
  const ask = async () => {
    if (next === null) return;
    const before = mine ?? { key, items: [], next, loading: true, error: null };
    setOlder({ ...before, loading: true, error: null });
    try {
      const page = await filled(fetchPage, next);
      if (current.current !== key) return;
      const items = [...before.items, ...page.items];
      setOlder({ key, items, next: page.next, loading: false, error: null });
    } catch (error) {
      if (current.current !== key) return;
      setOlder({ ...before, next, loading: false, error: error as Error });
    }
  };
  return {
    first: {
      ...first,
      ask: () => {
        setOlder(null);
        first.ask();
      },
    },
    items: [...(first.value?.items ?? []), ...(mine?.items ?? [])],
    more: next !== null,
    older: { loading: mine?.loading ?? false, error: mine?.error ?? null, ask },
  };
}
