/** Where in the dashboard one is: the part of the address after `#`. */

import { useMemo, useSyncExternalStore } from "react";

export const PAGES = ["overview", "requests", "callbacks", "usage"] as const;
export type Page = (typeof PAGES)[number];

export interface Place {
  page: Page;
  /** The request whose own page it is; "" for the list. */
  id: string;
  filters: Readonly<Record<string, string>>;
}

/** The place of an address's fragment; one that is none is the overview. */
export function parse(fragment: string): Place {
  const [path = "", query = ""] = fragment.replace(/^#?\/?/, "").split("?");
  const [name, id = ""] = path.split("/");
  const page = PAGES.find((each) => each === name) ?? "overview";
  return {
    page,
    id: page === "requests" ? decoded(id) : "",
    filters: Object.fromEntries(new URLSearchParams(query)),
  };
}

/** The address of a place. Filters that are empty are left out. */
export function href(page: Page, filters: Readonly<Record<string, string>> = {}, id = ""): string {
  const set = Object.entries(filters).filter(([, value]) => value !== "");
  const query = new URLSearchParams(set).toString();
  return `#/${page}${id && `/${encodeURIComponent(id)}`}${query && `?${query}`}`;
}

/** Go where one is, with one filter changed: the others are as they are now. */
export function narrow(page: Page, name: string, value: string): void {
  location.hash = href(page, { ...parse(location.hash).filters, [name]: value });
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function subscribe(changed: () => void): () => void {
  // The former comes before the browser scrolls a page that was come back to.
  for (const name of ["popstate", "hashchange"]) addEventListener(name, changed);
  return () => {
    for (const name of ["popstate", "hashchange"]) removeEventListener(name, changed);
  };
}

/** The place that the address names, as it changes. */
export function usePlace(): Place {
  const fragment = useSyncExternalStore(subscribe, () => location.hash);
  return useMemo(() => parse(fragment), [fragment]);
}
