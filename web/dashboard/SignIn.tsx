/** Who wants to look from elsewhere shows the code of an app that may. */

import { type FormEvent, useId, useState } from "react";
import type { Refused } from "./api.ts";

interface SignInProps {
  refused: Refused;
  /** The code that was refused; "" where none was shown. */
  tried: string;
  enter: (code: string) => void;
}

export function SignIn({ refused, tried, enter }: SignInProps) {
  const [code, setCode] = useState("");
  const field = useId();
  const submit = (event: FormEvent) => {
    event.preventDefault();
    enter(code.trim());
  };
  return (
    <main className="sign-in">
      <form className="card" onSubmit={submit}>
        <h1>Dashboard</h1>
        <p className="soft">
          Beyond the machine that the gateway runs on, this page asks for the code of an app that
          may see everything.
        </p>
        {!tried && refused.status === 403 && (
          <p className="notice bad" role="alert">
            {refused.message}
          </p>
        )}
        {tried && (
          <p className="notice bad" role="alert">
            <strong>
              {refused.status === 403 ? "This app may not." : "Nobody has this code."}
            </strong>{" "}
            {refused.status === 403
              ? "The code is good, but its app is not for operators."
              : "It may be mistyped, or its app was removed."}
          </p>
        )}
        <div className="field">
          <label htmlFor={field}>App code</label>
          <input
            id={field}
            className="input"
            type="password"
            autoComplete="off"
            spellCheck={false}
            placeholder="gw_…"
            value={code}
            onChange={(event) => setCode(event.target.value)}
          />
        </div>
        <button className="button primary" type="submit" disabled={!code.trim()}>
          Sign in
        </button>
        <details open={refused.status === 403}>
          <summary>Which code?</summary>
          <p>
            On the gateway&apos;s machine, this makes an app for operators, and prints its code:
          </p>
          <pre>python run.py app add Operators --admin</pre>
          <p>
            An app that is there already becomes one with <code>&quot;admin&quot;: true</code> in{" "}
            <code>conf/apps.json</code>. Either counts from the gateway&apos;s next start on.
          </p>
          <p>The code stays in this tab, and goes when you close it or sign out.</p>
        </details>
      </form>
    </main>
  );
}
