/** A question to the gateway, asked again as time goes. */

import { useEffect, useRef, useState } from "react";

export interface Asked<T> {
  value: T | null;
  error: Error | null;
  /** Nothing has been answered yet, or the question has changed. */
  loading: boolean;
  ask(): void;
}

/**
 * An answer that is asked for again every so often while the page is seen.
 *
 * What was answered stays while an unchanged question is asked again, also when that fails.
 */
export function useAsked<T>(
  question: (signal: AbortSignal) => Promise<T>,
  key: string,
  everyMs: number | null,
): Asked<T> {
  const [state, setState] = useState<{ key: string; value: T | null; error: Error | null }>({
    key,
    value: null,
    error: null,
  });
  const [turn, setTurn] = useState(0);
  const latest = useRef(question);
  latest.current = question;
  // `turn` asks the same again.
  useEffect(() => {
    const over = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const again = () => {
      if (everyMs !== null) timer = setTimeout(() => (document.hidden ? again() : ask()), everyMs);
    };
    const ask = async () => {
      try {
        const value = await latest.current(over.signal);
        if (!over.signal.aborted) setState({ key, value, error: null });
      } catch (error) {
        if (over.signal.aborted) return;
        setState((before) => ({
          key,
          value: before.key === key ? before.value : null,
          error: error as Error,
        }));
      }
      if (!over.signal.aborted) again();
    };
    void ask();
    return () => {
      over.abort();
      clearTimeout(timer);
    };
  }, [key, everyMs, turn]);
  const current = state.key === key;
  return {
    value: current ? state.value : null,
    error: current ? state.error : null,
    loading: !current || (!state.value && !state.error),
    ask: () => setTurn((before) => before + 1),
  };
}
