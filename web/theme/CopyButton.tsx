/** A button that puts a text into the clipboard, and says that it did. */

import { useEffect, useState } from "react";

const SAID_MS = 1600;

export function CopyButton({ text, what }: { text: () => string; what: string }) {
  const [said, setSaid] = useState<"" | "Copied" | "Not copied">("");
  useEffect(() => {
    if (!said) return;
    const timer = setTimeout(() => setSaid(""), SAID_MS);
    return () => clearTimeout(timer);
  }, [said]);
  const copy = async () => setSaid((await put(text())) ? "Copied" : "Not copied");
  return (
    <button type="button" className="button quiet small" onClick={copy} aria-label={`Copy ${what}`}>
      <span aria-live="polite">{said || "Copy"}</span>
    </button>
  );
}

/** Put a text into the clipboard; false where the browser does not let us. */
async function put(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return putBySelection(text);
  }
}

/** The way for pages without TLS on another machine, which have no `navigator.clipboard`. */
function putBySelection(text: string): boolean {
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "visually-hidden";
  document.body.append(area);
  area.select();
  try {
    return document.execCommand("copy");
  } finally {
    area.remove();
  }
}
