/** The way to what a list does not show yet. */

import { Failure } from "./Panel.tsx";
import type { Paged } from "./usePages.ts";

export function Older<T>({ paged: { first, older, more, items } }: { paged: Paged<T> }) {
  if (older.error) return <Failure error={older.error} again={older.ask} />;
  if (!first.value || (items.length === 0 && !more)) return null;
  return (
    <div className="older">
      {more ? (
        <button type="button" className="button" disabled={older.loading} onClick={older.ask}>
          {older.loading ? "Loading …" : items.length ? "Show older" : "Look further back"}
        </button>
      ) : (
        <p className="soft small">That is all.</p>
      )}
    </div>
  );
}
