/** The app code of who looks: kept for this tab, and gone with it. */

const KEPT = "gateway:admin-code";

export function readCode(): string {
  try {
    return sessionStorage.getItem(KEPT) ?? "";
  } catch {
    return "";
  }
}

/** Keep a code; "" forgets it. */
export function saveCode(code: string): void {
  try {
    if (code) sessionStorage.setItem(KEPT, code);
    else sessionStorage.removeItem(KEPT);
  } catch {
    // It lasts until the page is loaded again, then.
  }
}
