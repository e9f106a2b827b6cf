/** Whether the page is dark now; canvases must be painted anew when that changes. */

import { useSyncExternalStore } from "react";

const system = matchMedia("(prefers-color-scheme: dark)");

function subscribe(changed: () => void): () => void {
  const observer = new MutationObserver(changed);
  observer.observe(document.documentElement, { attributeFilter: ["data-theme"] });
  system.addEventListener("change", changed);
  return () => {
    observer.disconnect();
    system.removeEventListener("change", changed);
  };
}

export function useDarkness(): boolean {
  return useSyncExternalStore(subscribe, () => {
    const chosen = document.documentElement.dataset.theme;
    return chosen ? chosen === "dark" : system.matches;
  });
}
