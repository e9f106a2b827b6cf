/** Code as an answer gives it, with a button that copies it. */

import { memo } from "react";
import { CopyButton } from "../../theme/CopyButton.tsx";

/** `parts` joined are the code; each is shown by itself, so that the last may grow cheaply. */
export function Code({ language, parts }: { language: string; parts: readonly string[] }) {
  return (
    <figure className="md-code" dir="ltr">
      <figcaption>
        <span>{language || "text"}</span>
        <CopyButton text={() => parts.join("").replace(/\n$/, "")} what="code" />
      </figcaption>
      <pre tabIndex={0}>
        <code>
          {parts.map((part, i) => (
            // Parts are only ever added.
            <Part key={i} text={part} />
          ))}
        </code>
      </pre>
    </figure>
  );
}

const Part = memo(function Part({ text }: { text: string }) {
  // The line's end at the end of a block would be one too many.
  return <span className="md-part">{text.replace(/\n$/, "")}</span>;
});
