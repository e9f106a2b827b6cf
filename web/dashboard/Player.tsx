/** A log played event by event: what a reader of the stream saw, and when in the order. */

import { useEffect, useId, useMemo, useRef, useState } from "react";
import type { LogEvent } from "./api.ts";
import { Empty } from "./Panel.tsx";
import { gist, Recording, type Seen } from "./replay.ts";
import { whole } from "./words.ts";

const SPEEDS = [5, 20, 100, 500] as const;
/** So many events are seen around the one that is shown. */
const AROUND = 9;

export function Player({ entries }: { entries: readonly LogEvent[] }) {
  const recording = useMemo(() => new Recording(entries), [entries]);
  const [at, setAt] = useState(entries.length);
  const [playing, setPlaying] = useState(false);
  const [speed, setSpeed] = useState<number>(SPEEDS[1]);
  const end = entries.length;

  // A log that grows is followed by who has seen it to its end.
  const known = useRef(end);
  useEffect(() => {
    const before = known.current;
    known.current = end;
    setAt((now) => (now === before ? end : now));
  }, [end]);

  useEffect(() => {
    if (!playing) return;
    let shown = performance.now();
    let frame = requestAnimationFrame(function step(now) {
      const events = Math.floor(((now - shown) * speed) / 1000);
      if (events > 0) {
        shown = now;
        setAt((before) => Math.min(end, before + events));
      }
      frame = requestAnimationFrame(step);
    });
    return () => cancelAnimationFrame(frame);
  }, [playing, speed, end]);
  useEffect(() => {
    if (at >= end) setPlaying(false);
  }, [at, end]);

  if (end === 0) return <Empty>Nothing has happened yet.</Empty>;
  const go = (to: number) => {
    setPlaying(false);
    setAt(Math.max(0, Math.min(end, to)));
  };
  const play = () => {
    if (!playing && at >= end) setAt(0);
    setPlaying(!playing);
  };
  const seen = recording.seen(at);
  return (
    <div className="player">
      <div className="controls">
        <button type="button" className="button small primary" onClick={play}>
          {playing ? "Pause" : "Play"}
        </button>
        <button
          type="button"
          className="button small"
          disabled={at === 0}
          onClick={() => go(at - 1)}
        >
          <span aria-hidden="true">‹</span>
          <span className="visually-hidden">One event back</span>
        </button>
        <button
          type="button"
          className="button small"
          disabled={at === end}
          onClick={() => go(at + 1)}
        >
          <span aria-hidden="true">›</span>
          <span className="visually-hidden">One event on</span>
        </button>
        <input
          className="slider"
          type="range"
          aria-label="Events played"
          min={0}
          max={end}
          value={at}
          onChange={(event) => go(Number(event.target.value))}
        />
        <output>
          {whole(at)} / {whole(end)}
        </output>
        <Speed speed={speed} change={setSpeed} />
      </div>
      <Shown seen={seen} over={at >= end} />
      <Events entries={entries} at={at} go={go} />
    </div>
  );
}

function Speed({ speed, change }: { speed: number; change: (speed: number) => void }) {
  const id = useId();
  return (
    <>
      <label htmlFor={id} className="visually-hidden">
        Speed
      </label>
      <select
        id={id}
        className="input speed"
        value={speed}
        onChange={(event) => change(Number(event.target.value))}
      >
        {SPEEDS.map((each) => (
          <option key={each} value={each}>
            {each} / s
          </option>
        ))}
      </select>
    </>
  );
}

function Shown({ seen, over }: { seen: Seen; over: boolean }) {
  return (
    <div className="seen">
      <p className="soft small">
        {seen.attempt > 0 ? `Attempt ${seen.attempt}` : "Before the first event"}
        {seen.model && ` · ${seen.model}`}
      </p>
      <pre dir="auto" tabIndex={0}>
        {seen.text}
        {!over && <span className="caret" aria-hidden="true" />}
        {over && !seen.text && <span className="soft">(no text)</span>}
      </pre>
      {seen.toolCalls.map(({ id, name, arguments: given }) => (
        <p className="call" key={id}>
          <strong>{name}</strong> <code>{given}</code>
        </p>
      ))}
    </div>
  );
}

interface EventsProps {
  entries: readonly LogEvent[];
  at: number;
  go: (to: number) => void;
}

/** The events around the current one; a log may have many thousands. */
function Events({ entries, at, go }: EventsProps) {
  const most = 2 * AROUND + 1;
  const from = Math.max(0, Math.min(at - 1 - AROUND, entries.length - most));
  return (
    <ol className="events" start={from + 1}>
      {entries.slice(from, from + most).map((entry, nth) => (
        <li key={entry.id} className={from + nth < at ? "" : "ahead"}>
          <button
            type="button"
            aria-current={from + nth === at - 1 ? "step" : undefined}
            onClick={() => go(from + nth + 1)}
          >
            <code>{entry.id}</code>
            <span className="name">{entry.event}</span>
            <span className="gist">{gist(entry)}</span>
          </button>
        </li>
      ))}
    </ol>
  );
}
