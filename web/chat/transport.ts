/** What a chat needs of a gateway: ask, read what becomes of it, and stop it. */

/** A request that the gateway has accepted. `streamUrl` is a credential for reading it. */
export interface Accepted {
  readonly requestId: string;
  readonly streamUrl: string;
}

export interface Question {
  readonly prompt: string;
  readonly model: string | null;
  /** What was said before, the oldest first. */
  readonly before: readonly { readonly user: string; readonly assistant: string }[];
}

/** Something the model asks the page to do; `arguments` is null where it wrote no JSON. */
export interface Action {
  readonly id: string;
  readonly name: string;
  readonly arguments: unknown;
}

export interface Facts {
  readonly model: string | null;
  readonly tokens: number | null;
  readonly firstTokenS: number | null;
  readonly totalS: number | null;
}

/** Why there is no answer, in words for the person who asked. */
export interface Problem {
  readonly code: string;
  readonly message: string;
  /** To ask again may help. */
  readonly retryable: boolean;
  /** The same answer may go on: only the way to it was lost. */
  readonly resumable: boolean;
}

/** What is told of a request, in its order. `id` is where a reader goes on after it. */
export type News = { readonly id: string | null } & (
  | { readonly kind: "notice"; readonly text: string }
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "restart" }
  | { readonly kind: "action"; readonly action: Action }
  | { readonly kind: "complete"; readonly response: string; readonly facts: Facts }
  | { readonly kind: "failed"; readonly problem: Problem }
);

export interface Calling {
  readonly signal: AbortSignal;
  /** The line to the gateway is there, or it is lost and being looked for. */
  onLine(there: boolean): void;
}

export interface Reading extends Calling {
  /** The last event that the reader has; null for one who has none. */
  readonly after: string | null;
  onNews(news: News): void;
}

export interface Transport {
  /** Ask; throws a `TransportError`, or the signal's reason. */
  ask(question: Question, calling: Calling): Promise<Accepted>;
  /** Tell what becomes of a request, up to its end; throws as `ask` does. */
  read(accepted: Accepted, reading: Reading): Promise<void>;
  /** Stop a request, whether anybody is listening or not. */
  cancel(accepted: Accepted): Promise<void>;
}

export class TransportError extends Error {
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.message);
    this.name = "TransportError";
    this.problem = problem;
  }
}
