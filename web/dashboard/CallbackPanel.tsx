/** The callback of one request. */

import { useState } from "react";
import type { Admin, Delivery } from "./api.ts";
import { Chip } from "./Chip.tsx";
import { Panel } from "./Panel.tsx";
import { AGAIN, ReplayDialog } from "./ReplayDialog.tsx";
import { counted } from "./words.ts";

interface CallbackProps {
  admin: Admin;
  delivery: Delivery;
  changed: () => void;
}

export function CallbackPanel({ admin, delivery, changed }: CallbackProps) {
  const [asking, setAsking] = useState(false);
  const { url, state, attempts, last_status, note } = delivery;
  return (
    <Panel title="Callback" aside={<Chip state={state} />}>
      <p className="address">{url}</p>
      <p className="soft small">
        {counted(attempts, "attempt")}
        {last_status !== null && !note && `, last answered with ${last_status}`}. {note}
      </p>
      {AGAIN.has(state) && (
        <div>
          <button type="button" className="button small" onClick={() => setAsking(true)}>
            Replay
          </button>
        </div>
      )}
      {asking && (
        <ReplayDialog
          admin={admin}
          delivery={delivery}
          close={(replayed) => {
            setAsking(false);
            if (replayed) changed();
          }}
        />
      )}
    </Panel>
  );
}
