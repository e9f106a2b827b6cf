/** The head of each page: where one is, where else one can go, and light or dark. */

import { useState } from "react";
import { readTheme, saveTheme, type Theme } from "./theme.ts";

const PAGES = [
  { href: "./", name: "Playground" },
  { href: "chat", name: "Chat" },
  { href: "dashboard", name: "Dashboard" },
  { href: "docs", name: "API" },
] as const;

export type PageName = (typeof PAGES)[number]["name"];

/** Addresses are relative: a proxy may put the gateway under a path. */
export function Masthead({ page }: { page: PageName }) {
  return (
    <header className="masthead">
      <a className="brand" href="./">
        <Mark />
        AI streaming gateway
      </a>
      <nav aria-label="Pages">
        {PAGES.map(({ href, name }) => (
          <a key={name} href={href} aria-current={name === page ? "page" : undefined}>
            {name}
          </a>
        ))}
      </nav>
      <ThemeButton />
    </header>
  );
}

const NEXT: Record<Theme, Theme> = { system: "light", light: "dark", dark: "system" };

function ThemeButton() {
  const [theme, setTheme] = useState(readTheme);
  const turn = () => {
    const next = NEXT[theme];
    saveTheme(next);
    setTheme(next);
  };
  const label = `Colours: ${theme}. Switch to ${NEXT[theme]}.`;
  return (
    <button
      type="button"
      className="button quiet theme"
      onClick={turn}
      aria-label={label}
      title={label}
    >
      <svg
        viewBox="0 0 20 20"
        fill="none"
        stroke="currentColor"
        strokeWidth="1.6"
        aria-hidden="true"
      >
        {theme === "light" ? (
          <>
            <circle cx="10" cy="10" r="3.4" />
            <path d="M10 2.2v1.9M10 15.9v1.9M2.2 10h1.9M15.9 10h1.9M4.5 4.5l1.3 1.3M14.2 14.2l1.3 1.3M15.5 4.5l-1.3 1.3M5.8 14.2l-1.3 1.3" />
          </>
        ) : theme === "dark" ? (
          <path d="M16.6 12.2A7 7 0 0 1 7.8 3.4a7 7 0 1 0 8.8 8.8Z" />
        ) : (
          <>
            <circle cx="10" cy="10" r="6.8" />
            <path d="M10 3.2a6.8 6.8 0 0 1 0 13.6Z" fill="currentColor" />
          </>
        )}
      </svg>
    </button>
  );
}

function Mark() {
  return (
    <svg viewBox="0 0 24 24" fill="none" stroke="currentColor" strokeWidth="2" aria-hidden="true">
      <path d="M3 5h6a6 6 0 0 1 6 6v0" strokeLinecap="round" />
      <path d="M3 19h6a6 6 0 0 0 6-6v-2" strokeLinecap="round" />
      <path d="M3 12h18m-3.5-3.5L21 12l-3.5 3.5" strokeLinecap="round" strokeLinejoin="round" />
    </svg>
  );
}
