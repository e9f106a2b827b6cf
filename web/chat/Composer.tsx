/** Where a question is written. Enter sends it, Shift and Enter begin a line, Escape stops an answer. */

import { type KeyboardEvent, type RefObject, useLayoutEffect, useState } from "react";

const MOST_PX = 220;
const LONG_DRAFT = 4_000;

interface Props {
  field: RefObject<HTMLTextAreaElement | null>;
  /** An answer is on its way: what can be done now is to stop it. */
  busy: boolean;
  onAsk: (prompt: string) => void;
  onStop: () => void;
}

export function Composer({ field, busy, onAsk, onStop }: Props) {
  const [draft, setDraft] = useState("");

  useLayoutEffect(() => {
    const element = field.current;
    if (!element) return;
    // To measure much text takes long, and what comes of it is known.
    const long = draft.length > LONG_DRAFT;
    if (!long) element.style.height = "auto";
    element.style.height = `${long ? MOST_PX : Math.min(element.scrollHeight + 2, MOST_PX)}px`;
  }, [draft, field]);

  const send = () => {
    const prompt = draft.trim();
    if (!prompt || busy) return;
    setDraft("");
    onAsk(prompt);
    field.current?.focus();
  };

  const stop = () => {
    onStop();
    field.current?.focus();
  };

  const pressed = (event: KeyboardEvent) => {
    // While a word is being composed, Enter chooses it.
    if (event.nativeEvent.isComposing) return;
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      send();
    } else if (event.key === "Escape" && busy) {
      stop();
    }
  };

  return (
    <form
      className="composer"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <textarea
        ref={field}
        className="input"
        name="prompt"
        rows={1}
        dir="auto"
        value={draft}
        aria-label="Your question"
        placeholder="Ask anything"
        enterKeyHint="send"
        onChange={(event) => setDraft(event.target.value)}
        onKeyDown={pressed}
      />
      {busy ? (
        <button type="button" className="button stop" onClick={stop} title="Stop (Escape)">
          <svg viewBox="0 0 16 16" aria-hidden="true">
            <rect x="3.5" y="3.5" width="9" height="9" rx="1.5" fill="currentColor" />
          </svg>
          Stop
        </button>
      ) : (
        <button type="submit" className="button primary send" disabled={!draft.trim()}>
          <svg
            viewBox="0 0 16 16"
            fill="none"
            stroke="currentColor"
            strokeWidth="1.8"
            aria-hidden="true"
          >
            <path
              d="M8 13V3.5M3.8 7.6 8 3.4l4.2 4.2"
              strokeLinecap="round"
              strokeLinejoin="round"
            />
          </svg>
          Send
        </button>
      )}
    </form>
  );
}
