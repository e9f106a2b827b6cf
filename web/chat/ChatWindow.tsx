/**
 * A chat with the gateway: ask, watch the answer being written, stop it, go on after anything.
 *
 *     <ChatWindow conversation={conversation} />
 */

import { useCallback, useEffect, useRef, useSyncExternalStore } from "react";
import { Composer } from "./Composer.tsx";
import type { Conversation } from "./conversation.ts";
import { ExchangeView } from "./ExchangeView.tsx";
import type { Exchange } from "./exchange.ts";
import { useStick } from "./useStick.ts";
import "./chat.css";

interface Props {
  conversation: Conversation;
  /** Questions to begin with; one click asks. */
  suggestions?: readonly string[];
  /** The place to write has the focus from the beginning. */
  autoFocus?: boolean;
}

export function ChatWindow({ conversation, suggestions = [], autoFocus = false }: Props) {
  const exchanges = useSyncExternalStore(conversation.subscribe, conversation.getExchanges);
  const field = useRef<HTMLTextAreaElement>(null);
  const { scroller, content, atEnd, toEnd } = useStick();
  const open = useSyncExternalStore(conversation.subscribe, () => conversation.open);
  const last = exchanges.at(-1);
  useLife(conversation);

  useEffect(() => {
    if (autoFocus) field.current?.focus();
  }, [autoFocus]);

  const ask = (prompt: string) => {
    conversation.ask(prompt);
    toEnd();
    field.current?.focus();
  };
  const retry = useCallback(
    (exchange: Exchange) => {
      conversation.retry(exchange);
      field.current?.focus();
    },
    [conversation],
  );
  const goOn = useCallback((exchange: Exchange) => {
    void exchange.goOn();
    field.current?.focus();
  }, []);

  return (
    <section className="chat" aria-label="Chat">
      <div
        className="chat-scroll"
        ref={scroller}
        role="log"
        aria-live="off"
        aria-label="Conversation"
        tabIndex={0}
      >
        <div className="chat-lane" ref={content}>
          {exchanges.length === 0 && <Welcome suggestions={suggestions} onAsk={ask} />}
          {exchanges.map((exchange) => (
            <ExchangeView
              key={exchange.id}
              exchange={exchange}
              mayRetry={exchange === last && !open}
              onRetry={retry}
              onGoOn={goOn}
            />
          ))}
        </div>
      </div>
      <div className="chat-foot">
        {!atEnd && (
          <button type="button" className="button small chat-latest" onClick={toEnd}>
            <svg
              viewBox="0 0 16 16"
              fill="none"
              stroke="currentColor"
              strokeWidth="1.8"
              aria-hidden="true"
            >
              <path
                d="M8 3v9.5M3.8 8.4 8 12.6l4.2-4.2"
                strokeLinecap="round"
                strokeLinejoin="round"
              />
            </svg>
            Latest
          </button>
        )}
        {open && <Line exchange={open} />}
        <Composer field={field} busy={open !== null} onAsk={ask} onStop={() => open?.stop()} />
      </div>
      {last && <Announcer key={last.id} exchange={last} />}
    </section>
  );
}

/** Read on where the last visit ended; keep what there is when the page goes. */
function useLife(conversation: Conversation): void {
  useEffect(() => {
    conversation.resume();
    const hidden = () => document.visibilityState === "hidden" && conversation.save();
    window.addEventListener("pagehide", conversation.save);
    document.addEventListener("visibilitychange", hidden);
    return () => {
      window.removeEventListener("pagehide", conversation.save);
      document.removeEventListener("visibilitychange", hidden);
      conversation.leave();
    };
  }, [conversation]);
}

function Line({ exchange }: { exchange: Exchange }) {
  const { lineLost, phase } = useSyncExternalStore(exchange.subscribe, exchange.getView);
  if (!lineLost) return null;
  return (
    <p className="chat-line" role="status">
      <span className="spinner" aria-hidden="true" />
      {phase === "asking"
        ? "The gateway does not answer. Trying again."
        : "Reconnecting. The answer goes on where it was."}
    </p>
  );
}

/** Two sentences for each answer, for those who listen: the words themselves would be a torrent. */
function Announcer({ exchange }: { exchange: Exchange }) {
  const { phase } = useSyncExternalStore(exchange.subscribe, exchange.getView);
  const heard = useRef(exchange.open);
  if (exchange.open) heard.current = true;
  const said = { done: "The answer is complete.", stopped: "The answer was stopped." };
  const text = exchange.open
    ? "An answer is being written."
    : phase === "failed"
      ? ""
      : said[phase as "done"];
  return (
    <p className="visually-hidden" role="status">
      {heard.current ? text : ""}
    </p>
  );
}

function Welcome(props: { suggestions: readonly string[]; onAsk: (prompt: string) => void }) {
  return (
    <div className="welcome">
      <h2>What would you like to know?</h2>
      <p>
        Answers are written as you watch. Reload the page in the middle, or lose the network:
        nothing is lost, nothing comes twice.
      </p>
      {props.suggestions.length > 0 && (
        <ul>
          {props.suggestions.map((each) => (
            <li key={each}>
              <button type="button" className="button" onClick={() => props.onAsk(each)}>
                {each}
              </button>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
