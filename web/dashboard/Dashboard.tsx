/** The whole dashboard: who looks, where they are, and how the line to the gateway is. */

import { Activity, useEffect, useMemo, useRef, useState } from "react";
import { Admin, type Overview } from "./api.ts";
import { CallbacksPage } from "./CallbacksPage.tsx";
import { readCode, saveCode } from "./credential.ts";
import { OverviewPage } from "./OverviewPage.tsx";
import { Loading } from "./Panel.tsx";
import { href, PAGES, type Page, type Place, usePlace } from "./place.ts";
import { RequestPage } from "./RequestPage.tsx";
import { RequestsPage } from "./RequestsPage.tsx";
import { SignIn } from "./SignIn.tsx";
import { UsagePage } from "./UsagePage.tsx";
import { type Live, useLive } from "./useLive.ts";
import { lasting } from "./words.ts";

const TITLES: Record<Page, string> = {
  overview: "Overview",
  requests: "Requests",
  callbacks: "Callbacks",
  usage: "Usage",
};

export function Dashboard() {
  const [code, setCode] = useState(readCode);
  const admin = useMemo(() => new Admin(code), [code]);
  const live = useLive(admin);
  const place = usePlace();
  const main = useMainFocus(place);
  const title = place.id || TITLES[place.page];
  useEffect(() => {
    document.title = `${title} · AI streaming gateway`;
  }, [title]);

  const enter = (code: string) => {
    saveCode(code);
    setCode(code);
  };
  if (live.refused) return <SignIn refused={live.refused} tried={code} enter={enter} />;
  return (
    <div className="dashboard">
      <section className="bar" aria-label="Dashboard">
        <nav className="tabs" aria-label="Parts of the dashboard">
          {PAGES.map((page) => (
            <a key={page} href={href(page)} aria-current={page === place.page ? "page" : undefined}>
              {TITLES[page]}
            </a>
          ))}
        </nav>
        <Line live={live} />
        {code && (
          <button type="button" className="button small" onClick={() => enter("")}>
            Sign out
          </button>
        )}
      </section>
      <Notices live={live} />
      <main ref={main} tabIndex={-1}>
        <Shown place={place} admin={admin} live={live} />
      </main>
    </div>
  );
}

/** What is shown has the focus where the link that led to it has gone. */
function useMainFocus({ page, id }: Place) {
  const main = useRef<HTMLElement>(null);
  const before = useRef(page + id);
  useEffect(() => {
    const moved = before.current !== page + id;
    before.current = page + id;
    const focused = document.activeElement;
    if (moved && (focused === document.body || !focused?.checkVisibility())) {
      main.current?.focus({ preventScroll: true });
    }
  }, [page, id]);
  return main;
}

function Shown({ place, admin, live }: { place: Place; admin: Admin; live: Live }) {
  const names = live.overview?.queue.apps.map(({ app }) => app).join("\n") ?? "";
  // The same list while the names are the same: pages are painted when they change, not each second.
  const apps = useMemo(() => (names ? names.split("\n") : []), [names]);
  // Who the page is for is known with the first overview, and not before.
  if (!live.overview) return <Loading what="the gateway's state" />;
  switch (place.page) {
    case "requests":
      return <Requests place={place} admin={admin} apps={apps} />;
    case "callbacks":
      return <CallbacksPage admin={admin} filters={place.filters} apps={apps} />;
    case "usage":
      return <UsagePage admin={admin} filters={place.filters} />;
    case "overview":
      return <OverviewPage admin={admin} overview={live.overview} samples={live.samples} />;
  }
}

/** One of the requests, or all: the list is kept as it was left, for who comes back to it. */
function Requests({ place, admin, apps }: { place: Place; admin: Admin; apps: string[] }) {
  const { id } = place;
  const [filters, setFilters] = useState(id ? null : place.filters);
  if (!id && filters !== place.filters) setFilters(place.filters);
  return (
    <>
      {filters && (
        <Activity mode={id ? "hidden" : "visible"}>
          <RequestsPage admin={admin} filters={filters} apps={apps} />
        </Activity>
      )}
      {id && <RequestPage key={id} admin={admin} id={id} list={href("requests", filters ?? {})} />}
    </>
  );
}

function Line({ live: { line, overview } }: { live: Live }) {
  const words = { connecting: "Connecting …", live: "Live", lost: "Reconnecting …" };
  return (
    <p className={`line ${line}`}>
      <span className="dot" aria-hidden="true" />
      <span role="status">{words[line]}</span>
      {line === "live" && overview && (
        <span className="soft">
          {" "}
          · up {lasting(overview.uptime_s)} · v{overview.version}
        </span>
      )}
    </p>
  );
}

/** What whoever runs the gateway must know, whichever page they look at. */
function Notices({ live: { line, trouble, overview } }: { live: Live }) {
  return (
    <div className="notices" role="alert">
      {line === "lost" && (
        <p className="notice warn">
          <strong>The line to the gateway is broken.</strong> {trouble?.message}{" "}
          {overview
            ? "What you see is as it was; it goes on by itself as soon as the gateway answers."
            : "It is tried again every few seconds. Is the gateway running?"}
        </p>
      )}
      {overview && <Warnings overview={overview} />}
    </div>
  );
}

function Warnings({ overview }: { overview: Overview }) {
  return (
    <>
      {overview.draining && (
        <p className="notice warn">
          <strong>Draining.</strong> Running requests end; new ones are refused.
        </p>
      )}
      {overview.disk.low && (
        <p className="notice bad">
          <strong>The disk is nearly full.</strong> New requests are refused until there is room in
          the data folder.
        </p>
      )}
    </>
  );
}
