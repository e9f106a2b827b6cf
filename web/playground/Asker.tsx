/** What to ask, of whom, and how. */

import type { FormEvent } from "react";
import { ModelField } from "../access/ModelField.tsx";
import { DOORS, doorOf, type FieldName, type Settings } from "./doors.ts";

interface Props {
  settings: Settings;
  models: readonly string[];
  busy: boolean;
  onChange: (settings: Settings) => void;
  onAsk: () => void;
}

interface Field {
  readonly label: string;
  readonly placeholder: string;
  readonly kind: "line" | "lines" | "number" | "mode";
}

const FIELDS: Record<FieldName, Field> = {
  system: { label: "System prompt", placeholder: "None", kind: "lines" },
  temperature: { label: "Temperature", placeholder: "Default", kind: "number" },
  topP: { label: "Top p", placeholder: "Default", kind: "number" },
  maxTokens: { label: "Max tokens", placeholder: "Default", kind: "number" },
  mode: { label: "Mode", placeholder: "", kind: "mode" },
  requestType: { label: "Request type", placeholder: "chat", kind: "line" },
  resumeUrl: { label: "Callback (resumeUrl)", placeholder: "https://…/{random}", kind: "line" },
};
const MODES = ["chat", "generate", "edit"];

export function Asker({ settings, models, busy, onChange, onAsk }: Props) {
  const door = doorOf(settings);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    onAsk();
  };
  const set = (change: Partial<Settings>) => onChange({ ...settings, ...change });
  return (
    <form className="asker card" onSubmit={submit}>
      <fieldset className="doors">
        <legend>Door</legend>
        {DOORS.map(({ name, title }) => (
          <label key={name}>
            <input
              type="radio"
              name="door"
              value={name}
              checked={name === door.name}
              onChange={() => set({ door: name })}
            />
            <span>{title}</span>
          </label>
        ))}
        <p className="door-says">
          <code>POST {door.path}</code> {door.says}
        </p>
      </fieldset>
      <label className="field">
        <span>Prompt</span>
        <textarea
          className="input"
          name="prompt"
          rows={4}
          dir="auto"
          required
          value={settings.prompt}
          onChange={(event) => set({ prompt: event.target.value })}
          onKeyDown={(event) => {
            if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
              event.currentTarget.form?.requestSubmit();
            }
          }}
        />
      </label>
      <ModelField value={settings.model} models={models} onChange={(model) => set({ model })} />
      {door.fields.length > 0 && (
        <div className="parameters">
          {door.fields.map((name) => (
            <Parameter
              key={name}
              name={name}
              value={settings[name]}
              onChange={(value) => set({ [name]: value })}
            />
          ))}
        </div>
      )}
      <button type="submit" className="button primary asker-go">
        {busy ? "Ask anew" : "Ask"}
        <kbd>Ctrl Enter</kbd>
      </button>
    </form>
  );
}

function Parameter(props: { name: FieldName; value: string; onChange: (value: string) => void }) {
  const { name, value, onChange } = props;
  const { label, placeholder, kind } = FIELDS[name];
  const common = {
    className: "input",
    name,
    value,
    placeholder,
    onChange: (event: { target: { value: string } }) => onChange(event.target.value),
  };
  return (
    <label className={kind === "number" ? "field" : "field wide"}>
      <span>{label}</span>
      {kind === "lines" && <textarea {...common} rows={2} dir="auto" />}
      {kind === "mode" && (
        <select {...common}>
          {MODES.map((mode) => (
            <option key={mode}>{mode}</option>
          ))}
        </select>
      )}
      {kind === "line" && <input {...common} spellCheck={false} autoComplete="off" />}
      {kind === "number" && <input {...common} inputMode="decimal" autoComplete="off" />}
    </label>
  );
}
