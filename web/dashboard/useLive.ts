/** What the overview tells now, what it told before, and how the line to it is. */

import { useEffect, useState } from "react";
import type { Admin, Overview, Refused } from "./api.ts";
import { follow } from "./live.ts";

export interface Sample {
  at: number;
  waiting: number;
  busy: number;
  readers: number;
}

export interface Live {
  overview: Overview | null;
  /** Oldest first, of the last ten minutes that the page was open. */
  samples: readonly Sample[];
  line: "connecting" | "live" | "lost";
  /** Why the line is lost. */
  trouble: Error | null;
  refused: Refused | null;
}

const KEPT_S = 600;
const NOTHING: Live = {
  overview: null,
  samples: [],
  line: "connecting",
  trouble: null,
  refused: null,
};

export function useLive(admin: Admin): Live {
  const [live, setLive] = useState(NOTHING);
  useEffect(() => {
    const over = new AbortController();
    setLive(NOTHING);
    const listener = {
      overview: (overview: Overview) =>
        setLive(({ samples }) => ({
          overview,
          samples: [...recent(samples), sampled(overview)],
          line: "live",
          trouble: null,
          refused: null,
        })),
      lost: (trouble: Error) => setLive((before) => ({ ...before, line: "lost", trouble })),
      refused: (refused: Refused) => setLive({ ...NOTHING, refused }),
    };
    void follow(admin, listener, over.signal);
    return () => over.abort();
  }, [admin]);
  return live;
}

function recent(samples: readonly Sample[]): readonly Sample[] {
  const since = Date.now() / 1000 - KEPT_S;
  return samples.filter(({ at }) => at > since);
}

function sampled({ queue, workers, readers }: Overview): Sample {
  return { at: Date.now() / 1000, waiting: queue.size, busy: workers.busy, readers };
}
