/** A question and its answer on the page. */

import { memo, useState, useSyncExternalStore } from "react";
import { CopyButton } from "../theme/CopyButton.tsx";
import { Answer } from "./Answer.tsx";
import type { Exchange, View } from "./exchange.ts";
import type { Action, Facts, Problem } from "./transport.ts";

const SAID_MOST = 1_500;

interface Props {
  exchange: Exchange;
  /** Another answer may be asked for: nothing else is under way, and nothing followed. */
  mayRetry: boolean;
  onRetry: (exchange: Exchange) => void;
  onGoOn: (exchange: Exchange) => void;
}

export const ExchangeView = memo(function ExchangeView(props: Props) {
  const { exchange, mayRetry, onRetry, onGoOn } = props;
  const view = useSyncExternalStore(exchange.subscribe, exchange.getView);
  const { phase, problem, actions } = view;
  // The last words may still be on their way to the eye.
  const settled = useSyncExternalStore(exchange.text.subscribe, () => exchange.text.settled);
  const busy = exchange.open || !settled;
  return (
    <>
      <article className="said" aria-label="Question">
        <Said text={exchange.prompt} />
      </article>
      <article
        className="answer"
        aria-label="Answer"
        aria-busy={busy}
        data-phase={phase}
        data-request-id={view.requestId ?? undefined}
      >
        <h2 className="visually-hidden">Answer</h2>
        <Answer text={exchange.text} />
        {busy && <Typing view={view} />}
        {actions.length > 0 && <Actions actions={actions} />}
        {phase === "stopped" && <p className="answer-note">You stopped this answer.</p>}
        {problem && (
          <Trouble
            problem={problem}
            onRetry={mayRetry ? () => onRetry(exchange) : null}
            onGoOn={() => onGoOn(exchange)}
          />
        )}
        {!busy && (exchange.text.received || !problem) && (
          <Foot
            exchange={exchange}
            facts={view.facts}
            onRetry={mayRetry && !problem ? () => onRetry(exchange) : null}
          />
        )}
      </article>
    </>
  );
});

/** What was asked; of much, only the beginning until somebody wants to see it all. */
function Said({ text }: { text: string }) {
  const [whole, setWhole] = useState(text.length <= SAID_MOST);
  return (
    <>
      <p dir="auto">{whole ? text : `${text.slice(0, SAID_MOST)}…`}</p>
      {!whole && (
        <button type="button" className="button quiet small" onClick={() => setWhole(true)}>
          Show all {text.length.toLocaleString("en")} characters
        </button>
      )}
    </>
  );
}

function Typing({ view }: { view: View }) {
  const text = view.notice || (view.phase === "asking" ? "Asking" : "");
  return (
    <p className="typing">
      <span className="dots" aria-hidden="true">
        <i />
        <i />
        <i />
      </span>
      {view.phase === "writing" || view.phase === "done" ? (
        <span className="visually-hidden">The answer is being written.</span>
      ) : (
        <span>{text || "Thinking"}</span>
      )}
    </p>
  );
}

function Actions({ actions }: { actions: readonly Action[] }) {
  return (
    <ul className="actions" aria-label="Actions">
      {actions.map((action) => (
        <li key={action.id} className="action">
          <details>
            <summary>
              <span className="action-kind">Action</span> <code>{action.name}</code>
            </summary>
            <pre tabIndex={0}>{JSON.stringify(action.arguments, null, 2)}</pre>
          </details>
        </li>
      ))}
    </ul>
  );
}

function Trouble(props: { problem: Problem; onRetry: (() => void) | null; onGoOn: () => void }) {
  const { problem, onRetry, onGoOn } = props;
  return (
    <div className="trouble" role="alert">
      <p>{problem.message}</p>
      <div className="trouble-ways">
        {problem.resumable && (
          <button type="button" className="button small" onClick={onGoOn}>
            Go on reading
          </button>
        )}
        {onRetry && (
          <button type="button" className="button small" onClick={onRetry}>
            {problem.retryable ? "Try again" : "Ask again"}
          </button>
        )}
      </div>
    </div>
  );
}

function Foot(props: { exchange: Exchange; facts: Facts | null; onRetry: (() => void) | null }) {
  const { exchange, facts, onRetry } = props;
  return (
    <footer className="answer-foot">
      {exchange.text.received && (
        <CopyButton text={() => exchange.text.received} what="the answer" />
      )}
      {onRetry && (
        <button type="button" className="button quiet small" onClick={onRetry}>
          Ask again
        </button>
      )}
      {facts && <span className="answer-facts">{told(facts)}</span>}
    </footer>
  );
}

function told({ model, tokens, totalS }: Facts): string {
  const parts = [model, tokens && `${tokens}\u00a0tokens`, totalS && lasting(totalS)];
  return parts.filter(Boolean).join(" · ");
}

function lasting(seconds: number): string {
  return seconds < 1 ? `${Math.ceil(seconds * 1000)}\u00a0ms` : `${seconds.toFixed(1)}\u00a0s`;
}
