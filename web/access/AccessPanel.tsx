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

/** Nothing where the gateway lets everybody in and nobody wants to be somebody. */
export function AccessPanel({ access, state }: { access: Access; state: State }) {
  const [wanted, setWanted] = useState(false);
  const { door, hasCode } = state;
  const asks = door === "closed" || door === "refused" || wanted;
  if (door === "looking" && !hasCode) return null;
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
  if (asks) {
    const done = () => setWanted(false);
    return <Form access={access} says={SAYS[door]} bad={door === "refused"} done={done} />;
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

function Form(props: { access: Access; says: string; bad: boolean; done: () => void }) {
  const [code, setCode] = useState("");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!code.trim()) return;
    props.access.use(code);
    props.done();
  };
  return (
    <form className={props.bad ? "access bad" : "access"} onSubmit={submit}>
      <label className="field">
        <span>App code</span>
        <input
          className="input"
          type="password"
          name="app-code"
          autoComplete="off"
          spellCheck={false}
          value={code}
          onChange={(event) => setCode(event.target.value)}
        />
      </label>
      <button type="submit" className="button">
        Use it
      </button>
      {props.says && <p role={props.bad ? "alert" : undefined}>{props.says}</p>}
    </form>
  );
}
