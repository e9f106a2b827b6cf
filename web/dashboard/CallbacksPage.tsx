/** Callbacks owed, made and given up, and a way to make one once more. */

import { memo, useState } from "react";
import type { Admin, Delivery } from "./api.ts";
import { Chip } from "./Chip.tsx";
import { distinct, Select, Text } from "./Filters.tsx";
import { Older } from "./Older.tsx";
import { Empty, Failure, Loading, Scroll } from "./Panel.tsx";
import { href, narrow } from "./place.ts";
import { AGAIN, ReplayDialog } from "./ReplayDialog.tsx";
import { usePages } from "./usePages.ts";
import { When } from "./When.tsx";
import { lasting, whole } from "./words.ts";

const PAGE = 50;
const AGAIN_MS = 3000;
const STATES = [
  ["", "All"],
  ["waiting", "waiting for the answer"],
  ["pending", "pending"],
  ["delivered", "delivered"],
  ["delivered_unconfirmed", "unconfirmed"],
  ["dead", "dead"],
] as const;

interface CallbacksProps {
  admin: Admin;
  filters: Readonly<Record<string, string>>;
  apps: readonly string[];
}

export const CallbacksPage = memo(function CallbacksPage({ admin, filters, apps }: CallbacksProps) {
  const [chosen, choose] = useState<Delivery | null>(null);
  const paged = usePages(
    async (before, signal) => {
      const found = await admin.deliveries({ ...filters, before, limit: PAGE }, signal);
      return { items: found.deliveries, next: found.next };
    },
    JSON.stringify(filters),
    AGAIN_MS,
  );
  const { first, items } = paged;
  const set = (name: string) => (value: string) => narrow("callbacks", name, value);
  return (
    <div className="page">
      <h1>Callbacks</h1>
      <search className="filters">
        <Select name="State" value={filters.state ?? ""} options={STATES} change={set("state")} />
        <Text
          name="App"
          value={filters.app ?? ""}
          known={distinct(
            apps,
            items.map(({ app }) => app),
          )}
          change={set("app")}
        />
      </search>
      {first.error && <Failure error={first.error} again={first.ask} />}
      {first.loading && <Loading what="callbacks" />}
      {first.value && items.length === 0 && (
        <Empty>
          {Object.keys(filters).length ? (
            <>
              No callback is like that. <a href={href("callbacks")}>Show all</a>
            </>
          ) : (
            "No request has asked for a callback yet."
          )}
        </Empty>
      )}
      {items.length > 0 && <DeliveryTable deliveries={items} choose={choose} />}
      <Older paged={paged} />
      {chosen && (
        <ReplayDialog
          admin={admin}
          delivery={chosen}
          close={(replayed) => {
            choose(null);
            if (replayed) first.ask();
          }}
        />
      )}
    </div>
  );
});

interface TableProps {
  deliveries: readonly Delivery[];
  choose: (delivery: Delivery) => void;
}

function DeliveryTable({ deliveries, choose }: TableProps) {
  return (
    <div className="card">
      <Scroll label="Callbacks">
        <table className="list">
          <thead>
            <tr>
              <th scope="col">Asked for</th>
              <th scope="col">To</th>
              <th scope="col">State</th>
              <th scope="col">App</th>
              <th scope="col" className="number">
                Tries
              </th>
              <th scope="col">Last answer</th>
              <th scope="col">
                <span className="visually-hidden">What can be done</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {deliveries.map((each) => (
              <Row key={each.delivery_id} delivery={each} choose={choose} />
            ))}
          </tbody>
        </table>
      </Scroll>
    </div>
  );
}

function Row({ delivery, choose }: { delivery: Delivery; choose: TableProps["choose"] }) {
  const { request_id, url, state, app, attempts, last_status, note, next_at } = delivery;
  return (
    <tr>
      <td className="when">
        <When at={delivery.created_at} />
      </td>
      <th scope="row" className="url">
        <a href={href("requests", {}, request_id)} title={url}>
          {url}
        </a>
      </th>
      <td>
        <Chip state={state} />
        {state === "pending" && next_at && <Due at={next_at} />}
      </td>
      <td>{app}</td>
      <td className="number">{whole(attempts)}</td>
      <td className="note">{note || (last_status ?? (attempts > 0 ? "none" : "–"))}</td>
      <td className="act">
        {AGAIN.has(state) && (
          <button type="button" className="button small" onClick={() => choose(delivery)}>
            Replay<span className="visually-hidden"> the callback to {url}</span>
          </button>
        )}
      </td>
    </tr>
  );
}

function Due({ at }: { at: number }) {
  const wait = at - Date.now() / 1000;
  return <span className="soft"> {wait > 0 ? `in ${lasting(wait)}` : "now"}</span>;
}
