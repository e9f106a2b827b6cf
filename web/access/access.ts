/** What a page shows the gateway to be let in: nothing, or an app's code that a person typed. */

import { callGateway, GatewayError, type Options } from "ai-streaming-gateway-client";
import { laned } from "./lanes.ts";

/** In the tab's session only: it is forgotten with the tab. */
const KEPT = "gateway:app-code";

export type Door = "looking" | "open" | "closed" | "refused" | "unreachable";

export interface State {
  /** How the gateway took what we have. */
  readonly door: Door;
  readonly hasCode: boolean;
  /** The models that may be asked, in the catalog's order. */
  readonly models: readonly string[];
  readonly message: string;
}

export class Access {
  #code: string;
  #state: State;
  #listeners = new Set<() => void>();

  constructor() {
    this.#code = read();
    this.#state = { door: "looking", hasCode: this.#code !== "", models: [], message: "" };
  }

  /** What every call to the gateway is made with. */
  readonly options: Options = {
    url: new URL(".", document.baseURI),
    token: () => this.#code || undefined,
    fetch: laned(),
    debug: watched() ? (entry) => console.debug("gateway", entry) : undefined,
  };

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  readonly getState = (): State => this.#state;

  /** Use another code, or none. */
  use(code: string): void {
    this.#code = code.trim();
    write(this.#code);
    void this.look();
  }

  /** Ask the gateway whether we may come in, and for its models. */
  async look(): Promise<void> {
    const hasCode = this.#code !== "";
    this.#show({ ...this.#state, hasCode, door: "looking" });
    try {
      const options = { ...this.options, attempts: 3 };
      const list = await callGateway<{ data: { id: string }[] }>(
        "GET",
        "/v1/models",
        undefined,
        options,
      );
      const models = list.data.map(({ id }) => id);
      this.#show({ hasCode, door: "open", models, message: "" });
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error;
      const refused = error.status === 401 || error.status === 403;
      const door = refused ? (hasCode ? "refused" : "closed") : "unreachable";
      this.#show({ hasCode, door, models: [], message: error.message });
    }
  }

  #show(state: State): void {
    this.#state = state;
    for (const listener of this.#listeners) listener();
  }
}

/** `localStorage["gateway:debug"] = "1"` tells the console everything that happens on the line. */
function watched(): boolean {
  try {
    return localStorage.getItem("gateway:debug") !== null;
  } catch {
    return false;
  }
}

function read(): string {
  try {
    return sessionStorage.getItem(KEPT) ?? "";
  } catch {
    return "";
  }
}

function write(code: string): void {
  try {
    if (code) sessionStorage.setItem(KEPT, code);
    else sessionStorage.removeItem(KEPT);
  } catch {
    // It lasts for this page, then.
  }
}
