/** Light, dark, or as the system has it: kept by the browser, put on the document's root. */

export type Theme = "system" | "light" | "dark";

const KEPT = "gateway:theme";

/** The theme that was chosen; a browser that keeps nothing has the system's. */
export function readTheme(): Theme {
  try {
    const kept = localStorage.getItem(KEPT);
    return kept === "light" || kept === "dark" ? kept : "system";
  } catch {
    return "system";
  }
}

/** Keep a theme, and show the page in it. */
export function saveTheme(theme: Theme): void {
  try {
    localStorage.setItem(KEPT, theme);
  } catch {
    // It lasts for this page, then.
  }
  showTheme(theme);
}

/** Show the page in a theme; called before the first paint. */
export function showTheme(theme: Theme = readTheme()): void {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}
