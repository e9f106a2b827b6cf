/** The answer, and beside it the wire it came by. */

import { Answer } from "../chat/Answer.tsx";
import { useStick } from "../chat/useStick.ts";
import { CopyButton } from "../theme/CopyButton.tsx";
import type { Door } from "./doors.ts";
import { jobLink } from "./memory.ts";
import type { Phase, Run, RunView } from "./run.ts";
import { WireView } from "./WireView.tsx";

const SAYS: Record<Phase, string> = {
  asking: "Asking",
  reading: "Reading",
  reconnecting: "Reconnecting",
  done: "Complete",
  stopped: "Stopped",
  failed: "Failed",
};

export function RunPanel({ run, door }: { run: Run | null; door: Door }) {
  return (
    <section className="run card" aria-label="Run">
      <RunHead run={run} />
      <div className="run-panes">
        <AnswerPane key={run?.view.jobId} run={run} />
        <WireView run={run} path={door.path} />
      </div>
    </section>
  );
}

function RunHead({ run }: { run: Run | null }) {
  const view = run?.view;
  const open = run?.open ?? false;
  return (
    <header className="run-head">
      <p className="run-state" data-phase={view?.phase ?? "idle"} role="status">
        <span className="lamp" aria-hidden="true" />
        {view ? SAYS[view.phase] : "Nothing asked yet"}
        {view?.note && <small>{view.note}</small>}
      </p>
      {run && view && <p className="run-facts">{facts(run, view)}</p>}
      <div className="run-buttons">
        <button
          type="button"
          className="button small"
          disabled={!open || !run?.wire.open}
          onClick={() => run?.wire.cut()}
          title="As a bad network would. The reader comes back by itself."
        >
          Cut the connection
        </button>
        <button type="button" className="button small" disabled={!open} onClick={() => run?.stop()}>
          Stop
        </button>
      </div>
      {view?.jobId && (
        <p className="run-job">
          <span>Job</span> <code>{view.jobId}</code>
          <CopyButton text={() => view.jobId ?? ""} what="the job's id" />
          {/* The other tab is this page too, and may take the app code along. */}
          <a
            className="button quiet small"
            href={jobLink(view.jobId)}
            target="_blank"
            rel="noopener opener"
          >
            Open in another tab
          </a>
        </p>
      )}
    </header>
  );
}

function facts({ wire }: Run, { firstMs, totalMs }: RunView): string {
  const parts = [
    wire.events > 0 && plural(wire.events, "event"),
    wire.connections > 0 && plural(wire.connections, "connection"),
    firstMs !== null && `first after ${duration(firstMs)}`,
    totalMs !== null && `all after ${duration(totalMs)}`,
  ];
  return parts.filter(Boolean).join(" · ");
}

function plural(count: number, what: string): string {
  return `${count.toLocaleString("en")} ${what}${count === 1 ? "" : "s"}`;
}

function duration(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

function AnswerPane({ run }: { run: Run | null }) {
  const { scroller, content } = useStick();
  const view = run?.view;
  return (
    <article className="pane" aria-label="Answer" aria-busy={run?.open ?? false}>
      <h2>Answer</h2>
      <div className="pane-body" ref={scroller} tabIndex={0}>
        <div ref={content}>
          {run ? (
            <Answer text={run.text} />
          ) : (
            <p className="pane-empty">It will be written here.</p>
          )}
          {view?.actions.map((action, i) => (
            <div key={i} className="pane-action">
              <strong>{action.name}</strong>
              <pre>{JSON.stringify(action.arguments, null, 2)}</pre>
            </div>
          ))}
          {view?.problem && (
            <p className="pane-problem" role="alert">
              {view.problem}
            </p>
          )}
        </div>
      </div>
    </article>
  );
}
