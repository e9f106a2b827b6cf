// Written by `python -m tests.client_types` from the gateway's own types: change those.

/** A job with its callback and its whole log. */
export interface AdminJob {
  answer: string;
  app: string;
  attempt: number;
  callback: DeliveryItem | null;
  cost_usd: number;
  created_at: number;
  door: string;
  duration_s: number | null;
  error: Failure | null;
  events: LogEvent[];
  finished_at: number | null;
  first_token_s: number | null;
  messages: Message[];
  model: string;
  prompt: string;
  provider: string | null;
  request_id: string;
  started_at: number | null;
  state: "cancelled" | "completed" | "error" | "expired" | "processing" | "queued";
  tool_calls: CalledTool[];
  usage: Tokens | null;
  user: string | null;
}

/** What of an app waits and runs. */
export interface AppLoad {
  app: string;
  running: number;
  waiting: number;
}

/**
 * A model that fails: still asked, spared for a while, or asked by one call whether it is
 * back.
 */
export interface BreakerState {
  model: string;
  provider: string;
  state: "failing" | "open" | "probing";
}

/** Callbacks that wait to be sent or were given up, and those delivered since the start. */
export interface CallbackLoad {
  dead: number;
  delivered: number;
  oldest_pending_s: number | null;
  pending: number;
}

/** A call the model made; `arguments` is JSON as the model wrote it. */
export interface CalledTool {
  arguments: string;
  id: string;
  name: string;
}

/**
 * A callback. `url` is without its query; `note` says what the newest attempt met.
 *
 * Times are UTC, seconds since the epoch. `next_at` is null where no attempt is due.
 */
export interface DeliveryItem {
  app: string;
  attempts: number;
  created_at: number;
  delivery_id: string;
  last_status: number | null;
  next_at: number | null;
  note: string;
  request_id: string;
  state: "dead" | "delivered" | "delivered_unconfirmed" | "pending" | "waiting";
  url: string;
}

/** A page, that of the newest job first. `next` goes into `before`; null on the last page. */
export interface DeliveryItems {
  deliveries: DeliveryItem[];
  next: string | null;
}

/** Whether jobs outlive the process, and whether there is too little room for new ones. */
export interface DiskState {
  durable: boolean;
  low: boolean;
}

/** Why there was no whole answer. */
export interface Failure {
  code: string;
  message: string;
}

/**
 * A job in a list.
 *
 * Times are UTC, seconds since the epoch; `first_token_s` and `duration_s` count from
 * `created_at`. `prompt` is the beginning of the last user turn.
 */
export interface Item {
  app: string;
  attempt: number;
  cost_usd: number;
  created_at: number;
  door: string;
  duration_s: number | null;
  error: Failure | null;
  finished_at: number | null;
  first_token_s: number | null;
  model: string;
  prompt: string;
  provider: string | null;
  request_id: string;
  started_at: number | null;
  state: "cancelled" | "completed" | "error" | "expired" | "processing" | "queued";
  usage: Tokens | null;
  user: string | null;
}

/**
 * A page, newest first. `next` goes into `before`; it is null on the last page.
 *
 * A page may be empty and have a `next`: what is rare is looked for step by step.
 */
export interface Items {
  jobs: Item[];
  next: string | null;
}

/** One event of a job's log. `id` is what a reader's cursor is, `event` which kind it is. */
export interface LogEvent {
  data: Record<string, unknown>;
  event: string;
  id: string;
}

/**
 * One turn. `content` is text, or OpenAI's list of content parts, passed on unread.
 *
 * `extra` are its fields for the provider that the gateway does not know.
 */
export interface Message {
  role: string;
  content?: string | Record<string, unknown>[] | null | undefined;
  name?: string | null | undefined;
  tool_call_id?: string | null | undefined;
  tool_calls?: Record<string, unknown>[] | null | undefined;
  extra?: Record<string, unknown> | null | undefined;
}

/** How the gateway is. Times are in seconds. */
export interface Overview {
  breakers: BreakerState[];
  callbacks: CallbackLoad;
  conversations: number;
  disk: DiskState;
  draining: boolean;
  providers: ProviderStatus[];
  queue: QueueLoad;
  readers: number;
  uptime_s: number;
  version: string;
  workers: WorkerLoad;
}

/** How a provider was at its last check. */
export interface ProviderStatus {
  name: string;
  status: string;
}

/** What waits. `oldest_wait_s` is null where nothing does. */
export interface QueueLoad {
  apps: AppLoad[];
  capacity: number;
  oldest_wait_s: number | null;
  size: number;
}

/** A refusal of the doors that tell of jobs. */
export interface RecordError {
  error: RecordFault;
}

/** What went wrong. `field` names what is at fault. */
export interface RecordFault {
  code: string;
  field?: string | undefined;
  message: string;
}

/** Tokens read and written, of all attempts; `estimated` where a provider told none. */
export interface Tokens {
  completion_tokens: number;
  estimated: boolean;
  prompt_tokens: number;
  total_tokens: number;
}

/** One app, user, model or day; `key` is null for the jobs of no user. */
export interface UsageRow {
  app?: string | undefined;
  completion_tokens: number;
  cost_usd: number;
  jobs: number;
  key: string | null;
  prompt_tokens: number;
}

/** The sums, the dearest first; days in their order. */
export interface UsageRows {
  rows: UsageRow[];
}

/** How many there are, and how many have a job. */
export interface WorkerLoad {
  busy: number;
  count: number;
}
