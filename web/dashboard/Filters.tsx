/** What a list is narrowed by. It stands in the address, so that it can be kept and sent. */

import { type ReactNode, useEffect, useId, useState } from "react";

const TYPING_MS = 350;

interface SelectProps {
  name: string;
  value: string;
  /** What each value is called; "" is for all. */
  options: readonly (readonly [value: string, name: string])[];
  change: (value: string) => void;
}

export function Select({ name, value, options, change }: SelectProps) {
  return (
    <Named name={name}>
      {(id) => (
        <select
          id={id}
          className="input"
          value={value}
          onChange={(event) => change(event.target.value)}
        >
          {options.map(([value, name]) => (
            <option key={value} value={value}>
              {name}
            </option>
          ))}
        </select>
      )}
    </Named>
  );
}

interface TextProps {
  name: string;
  value: string;
  placeholder?: string;
  /** Values that are offered. */
  known?: readonly string[];
  change: (value: string) => void;
}

/** A text that counts when its writer rests. */
export function Text({ name, value, placeholder = "", known = [], change }: TextProps) {
  const [typed, setTyped] = useState(value);
  const list = useId();
  useEffect(() => setTyped(value), [value]);
  // Only typing starts the clock.
  useEffect(() => {
    if (typed.trim() === value) return;
    const timer = setTimeout(() => change(typed.trim()), TYPING_MS);
    return () => clearTimeout(timer);
  }, [typed]);
  return (
    <Named name={name}>
      {(id) => (
        <>
          <input
            id={id}
            className="input"
            type="search"
            autoComplete="off"
            spellCheck={false}
            placeholder={placeholder}
            value={typed}
            list={known.length ? list : undefined}
            onChange={(event) => setTyped(event.target.value)}
            onKeyDown={(event) => event.key === "Enter" && change(typed.trim())}
          />
          {known.length > 0 && (
            <datalist id={list}>
              {known.map((each) => (
                <option key={each} value={each} />
              ))}
            </datalist>
          )}
        </>
      )}
    </Named>
  );
}

function Named({ name, children }: { name: string; children: (id: string) => ReactNode }) {
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>{name}</label>
      {children(id)}
    </div>
  );
}

/** The values of a list, each once, in their order. */
export function distinct(...lists: readonly (readonly (string | null)[])[]): string[] {
  return [
    ...new Set(lists.flat().filter((each) => each !== null && each !== "")),
  ].sort() as string[];
}
