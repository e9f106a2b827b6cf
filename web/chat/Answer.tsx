/** A text as it is written, as Markdown. */

import { useSyncExternalStore } from "react";
import type { LiveText } from "./livetext.ts";
import { Markdown } from "./markdown/Markdown.tsx";

export function Answer({ text }: { text: LiveText }) {
  const version = useSyncExternalStore(text.subscribe, text.getVersion);
  return <Markdown blocks={text.blocks} version={version} />;
}
