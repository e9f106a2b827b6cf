/** Which model to ask: one of the catalog's, or any name that is typed. */

import { useId } from "react";

interface Props {
  value: string;
  models: readonly string[];
  onChange: (model: string) => void;
}

export function ModelField({ value, models, onChange }: Props) {
  const list = useId();
  return (
    <label className="field model-field">
      <span>Model</span>
      <input
        className="input"
        name="model"
        list={list}
        value={value}
        placeholder="Default"
        autoComplete="off"
        spellCheck={false}
        onChange={(event) => onChange(event.target.value)}
      />
      <datalist id={list}>
        {models.map((model) => (
          <option key={model} value={model} />
        ))}
      </datalist>
    </label>
  );
}
