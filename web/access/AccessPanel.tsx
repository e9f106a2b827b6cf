/** Where a person types the app's code, if the gateway asks for one. */

import { type FormEvent, useEffect, useState, useSyncExternalStore } from "react";
import type { Access, Door, State } from "./access.ts";
import "./access.css";

/** How the gateway takes what this page has; looked at once when the page opens. */
export function useAccess(access: Access): State {
  useEffect(() => {
    void access.look();
  }, [access]);
  return useSyncExternalStore(access.subscribe, access.getState);
}

const SAYS: Record<Door, string> = {
  looking: "Looking whether the gateway lets this page in …",
  open: "",
  closed: "This gateway asks for an app code. It stays in this tab and is forgotten with it.",
  refused: "The gateway does not know this app code.",
  unreachable: "The gateway does not answer.",
};

/** What the gateway says to who looks, and the place to say more. */
export function AccessPanel({ access, state }: { access: Access; state: State }) {
  const [wanted, setWanted] = useState(false);
  const door = useSettled(state.door);
  const { hasCode } = state;
  const taken = state.door === "open" && hasCode;
  useEffect(() => {
    if (taken) setWanted(false);
  }, [taken]);
  if (door === "looking") return <p className="access-line looking">{SAYS.looking}</p>;
  if (door === "unreachable") {
    return (
      <div className="access bad" role="alert">
        <p>{SAYS.unreachable}</p>
        <button type="button" className="button small" onClick={() => void access.look()}>
          Look again
        </button>
      </div>
    );
  }
  if (door !== "open" || (wanted && !taken)) {
    const cancel = door === "open" ? () => setWanted(false) : null;
    return <Form access={access} says={SAYS[door]} bad={door === "refused"} cancel={cancel} />;
  }
  return (
    <p className="access-line">
      {hasCode ? "Using your app code." : "This gateway lets everybody in."}{" "}
      <button
        type="button"
        className="link"
        onClick={() => (hasCode ? access.use("") : setWanted(true))}
      >
        {hasCode ? "Forget it" : "Use an app code"}
      </button>
    </p>
  );
}

/** How the gateway took what it was shown last: while it looks once more, nothing changes. */
function useSettled(door: Door): Door {
  const [settled, setSettled] = useState(door);
  if (door !== "looking" && door !== settled) setSettled(door);
  return settled;
}

interface FormProps {
  access: Access;
  says: string;
  bad: boolean;
  /** Null where there is no way without a code. */
  cancel: (() => void) | null;
}

function Form({ access, says, bad, cancel }: FormProps) {
  const [code, setCode] = useState("");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (code.trim()) access.use(code);
  };
  return (
    <form className={bad ? "access bad" : "access"} onSubmit={submit}>
      <label className="field">
        <span>App code</span>
        <input
          className="input"
          type="password"
          name="app-code"
          autoComplete="off"
          spellCheck={false}
          // Who asked for it types next.
          autoFocus={cancel !== null}
          aria-invalid={bad}
          value={code}
          onChange={(event) => setCode(event.target.value)}
        />
      </label>
      <button type="submit" className="button">
        Use it
      </button>
      {cancel && (
        <button type="button" className="button quiet" onClick={cancel}>
          Cancel
        </button>
      )}
      {says && <p role={bad ? "alert" : undefined}>{says}</p>}
    </form>
  );
}
