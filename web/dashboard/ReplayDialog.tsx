/** A callback is made once more only after somebody has read what that means. */

import { useEffect, useId, useRef, useState } from "react";
import type { Admin, Delivery } from "./api.ts";
import { Chip } from "./Chip.tsx";
import { counted } from "./words.ts";

/** What arrived, or is on its way, would only resume whatever the receiver waits for by now. */
export const AGAIN: ReadonlySet<Delivery["state"]> = new Set(["dead", "delivered_unconfirmed"]);

interface ReplayProps {
  admin: Admin;
  delivery: Delivery;
  close: (replayed: boolean) => void;
}

export function ReplayDialog({ admin, delivery, close }: ReplayProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const title = useId();
  const [error, setError] = useState<Error | null>(null);
  const [asking, setAsking] = useState(false);
  useEffect(() => dialog.current?.showModal(), []);

  const replay = async () => {
    setAsking(true);
    setError(null);
    try {
      await admin.replay(delivery.request_id);
      close(true);
    } catch (error) {
      setError(error as Error);
      setAsking(false);
    }
  };
  return (
    <dialog ref={dialog} className="card" aria-labelledby={title} onClose={() => close(false)}>
      <h2 id={title}>Make this callback once more?</h2>
      <p className="address">{delivery.url}</p>
      <p>
        It is <Chip state={delivery.state} /> after {counted(delivery.attempts, "attempt")}. The
        same answer is posted again, under the same <code>webhook-id</code>: a receiver that did get
        it, and does not look at the id, acts twice.
      </p>
      {error && (
        <p className="notice bad" role="alert">
          {error.message}
        </p>
      )}
      <div className="actions">
        <button type="button" className="button" onClick={() => dialog.current?.close()}>
          Cancel
        </button>
        <button type="button" className="button primary" disabled={asking} onClick={replay}>
          {asking ? "Asking …" : "Replay"}
        </button>
      </div>
    </dialog>
  );
}
