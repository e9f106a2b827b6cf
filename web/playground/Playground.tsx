/** A place to try the gateway: ask at any door, see everything that happens. */

import { useEffect, useRef, useState, useSyncExternalStore } from "react";
import { AccessPanel, useAccess } from "../access/AccessPanel.tsx";
import type { Access } from "../access/access.ts";
import { Masthead } from "../theme/Masthead.tsx";
import { Asker } from "./Asker.tsx";
import { doorOf, type Settings } from "./doors.ts";
import { keepJob, keepSettings, linked, readJob, readSettings } from "./memory.ts";
import { RunPanel } from "./RunPanel.tsx";
import { Run } from "./run.ts";
import { Snippets } from "./Snippets.tsx";
import "./playground.css";

export function Playground({ access }: { access: Access }) {
  const state = useAccess(access);
  const [settings, setSettings] = useSettings();
  const [run, setRun] = useRun(access);
  const [offered, setOffered] = useOffer();
  const panel = useRef<HTMLDivElement>(null);
  const begin = (next: Run) => {
    run?.leave();
    setRun(next);
    setOffered(null);
    bringIntoView(panel.current);
  };
  return (
    <>
      <Masthead page="Playground" />
      <main className="playground">
        <header className="playground-head">
          <h1>Playground</h1>
          <p>
            Ask at any door. The answer and the wire stand side by side: cut the connection, reload,
            or open the job in another tab. Nothing is lost, nothing comes twice.
          </p>
        </header>
        <div className="playground-ask">
          <AccessPanel access={access} state={state} />
          <Asker
            settings={settings}
            models={state.models}
            busy={run?.open ?? false}
            onChange={setSettings}
            onAsk={() => begin(Run.ask(settings, access.options))}
          />
        </div>
        <div className="playground-see">
          {offered && offered !== run?.view.jobId && (
            <Offer
              id={offered}
              onRead={() => begin(Run.read(offered, access.options))}
              onLeave={() => setOffered(null)}
            />
          )}
          <div ref={panel} className="run-place">
            <RunPanel run={run} door={doorOf(settings)} />
          </div>
          <Snippets settings={settings} needsCode={state.hasCode || state.door === "closed"} />
        </div>
      </main>
    </>
  );
}

/** Where the page is one column, the answer stands below what was asked. */
function bringIntoView(panel: HTMLElement | null): void {
  // As the style has it.
  if (matchMedia("(max-width: 68rem)").matches) panel?.scrollIntoView({ block: "start" });
}

/** The job that the address names. It is read when somebody says so. */
function useOffer(): [string | null, (id: string | null) => void] {
  const [offered, setOffered] = useState(() => linked(location.hash).job);
  useEffect(() => {
    const changed = () => setOffered(linked(location.hash).job);
    window.addEventListener("hashchange", changed);
    return () => window.removeEventListener("hashchange", changed);
  }, []);
  return [offered, setOffered];
}

function useSettings(): [Settings, (settings: Settings) => void] {
  const [settings, setSettings] = useState(() => {
    const { resumeUrl } = linked(location.hash);
    const kept = readSettings();
    return resumeUrl ? { ...kept, resumeUrl } : kept;
  });
  useEffect(() => keepSettings(settings), [settings]);
  return [settings, setSettings];
}

/** The run on the page. After a reload it is that of before, read once more from its beginning. */
function useRun(access: Access): [Run | null, (run: Run) => void] {
  const [run, setRun] = useState<Run | null>(null);
  useEffect(() => {
    const before = readJob();
    if (before) setRun(Run.read(before, access.options));
  }, [access]);
  useSyncExternalStore(run?.subscribe ?? nothing, () => run?.version ?? 0);
  const jobId = run?.view.jobId ?? null;
  useEffect(() => {
    if (jobId) keepJob(jobId);
  }, [jobId]);
  return [run, setRun];
}

const nothing = () => () => {};

function Offer(props: { id: string; onRead: () => void; onLeave: () => void }) {
  return (
    <aside className="offer" aria-label="A job in the address">
      <p>
        The address names a job: <code>{props.id}</code>
      </p>
      <div>
        <button type="button" className="button primary small" onClick={props.onRead}>
          Read it
        </button>
        <button type="button" className="button quiet small" onClick={props.onLeave}>
          Leave it
        </button>
      </div>
    </aside>
  );
}
