/** A part of a page under a heading, and what stands in it while there is nothing to show. */

import type { ReactNode } from "react";
import { Refused } from "./api.ts";

interface PanelProps {
  title: string;
  /** What is said beside the title. */
  aside?: ReactNode;
  children: ReactNode;
  className?: string;
}

export function Panel({ title, aside, children, className = "" }: PanelProps) {
  return (
    <section className={`card panel ${className}`}>
      <header>
        <h2>{title}</h2>
        {aside && <div className="aside">{aside}</div>}
      </header>
      {children}
    </section>
  );
}

export function Empty({ children }: { children: ReactNode }) {
  return <p className="empty">{children}</p>;
}

export function Loading({ what }: { what: string }) {
  return (
    <p className="empty" role="status">
      <span className="spinner" aria-hidden="true" /> Loading {what} …
    </p>
  );
}

/** What went wrong, what to do about it, and a way to try again. */
export function Failure({ error, again }: { error: Error; again: () => void }) {
  return (
    <div className="failure" role="alert">
      <p>
        <strong>{sentence(error.message)}</strong> {advice(error)}
      </p>
      <button type="button" className="button small" onClick={again}>
        Try again
      </button>
    </div>
  );
}

function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

function advice(error: Error): string {
  if (!(error instanceof Refused)) return "Is it running, and is the network up?";
  if (error.status === 400 || error.status === 422) return "Change the filters.";
  if (error.status === 404) return "What is older than the retention says is forgotten.";
  if (error.status === 429 || error.status === 503) return "Wait a little.";
  return "";
}

/** A table that is wider than its page scrolls inside itself, also by the keyboard. */
export function Scroll({ label, children }: { label: string; children: ReactNode }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard.
    <section className="scroll" aria-label={label} tabIndex={0}>
      {children}
    </section>
  );
}
