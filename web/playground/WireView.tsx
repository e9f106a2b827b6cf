/** What goes over the wire, line by line. */

import { memo, useState } from "react";
import { useStick } from "../chat/useStick.ts";
import type { Run } from "./run.ts";
import type { Row } from "./wiretap.ts";

/** What stands on the page; all of it would be slow to look at, too. */
const SHOWN = 250;
const DATA_MOST = 360;

export function WireView({ run, path }: { run: Run | null; path: string }) {
  const { scroller, content } = useStick();
  const rows = run?.wire.rows ?? [];
  const shown = rows.slice(-SHOWN);
  const before = (shown[0]?.n ?? 1) - 1;
  return (
    <section className="pane wire" aria-label="On the wire">
      <h2>On the wire</h2>
      <div className="pane-body" ref={scroller} tabIndex={0}>
        <div ref={content}>
          {!run && (
            <p className="pane-empty">
              <code>POST {path}</code>, and every event that follows.
            </p>
          )}
          {before > 0 && <p className="wire-before">{before.toLocaleString("en")} before these</p>}
          <ol className="wire-rows">
            {shown.map((row) => (
              <RowView key={row.n} row={row} jobId={run?.view.jobId ?? null} />
            ))}
          </ol>
        </div>
      </div>
    </section>
  );
}

const RowView = memo(function RowView({ row, jobId }: { row: Row; jobId: string | null }) {
  // Every event of some doors says whose it is; once is enough for the eye.
  const text = jobId ? row.text.replaceAll(jobId, `…${jobId.slice(-4)}`) : row.text;
  if (row.kind !== "event") {
    return (
      <li className={`wire-${row.kind}`}>
        <Data text={text} />
      </li>
    );
  }
  return (
    <li className="wire-event">
      <span className="wire-id">{row.id}</span>
      {row.name && <span className="wire-name">{row.name}</span>}
      <span className="wire-data">
        <Data text={text} />
      </span>
    </li>
  );
});

/** What an event says; of much, the beginning, until somebody wants to see it all. */
function Data({ text }: { text: string }) {
  const [whole, setWhole] = useState(text.length <= DATA_MOST);
  if (whole) return text;
  return (
    <>
      {text.slice(0, DATA_MOST)}…{" "}
      <button type="button" className="link" onClick={() => setWhole(true)}>
        all {text.length.toLocaleString("en")}
      </button>
    </>
  );
}
