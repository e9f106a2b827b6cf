/** The request as code to copy. */

import { useState } from "react";
import { CopyButton } from "../theme/CopyButton.tsx";
import type { Settings } from "./doors.ts";
import { type Language, snippet } from "./snippets.ts";

const LANGUAGES: readonly Language[] = ["curl", "Python", "TypeScript"];

export function Snippets({ settings, needsCode }: { settings: Settings; needsCode: boolean }) {
  const [language, setLanguage] = useState<Language>("curl");
  const gateway = new URL(".", document.baseURI).href.replace(/\/$/, "");
  const code = snippet(language, { settings, gateway, needsCode });
  return (
    <section className="snippets card" aria-label="The request as code">
      <header>
        <h2>The same request</h2>
        <fieldset className="languages">
          <legend className="visually-hidden">Language</legend>
          {LANGUAGES.map((name) => (
            <label key={name}>
              <input
                type="radio"
                name="language"
                checked={name === language}
                onChange={() => setLanguage(name)}
              />
              <span>{name}</span>
            </label>
          ))}
        </fieldset>
        <CopyButton text={() => code} what="the request" />
      </header>
      <pre tabIndex={0}>
        <code>{code}</code>
      </pre>
    </section>
  );
}
