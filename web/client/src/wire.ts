// Written by `python -m tests.client_types` from the gateway's own types: change those.

/** What the job queue took, or what it did with it. */
export interface Accepted {
  message: string;
  request_id: string;
  status: "success";
}

/** What the model asks the caller's page to do; `error` where its arguments are no JSON. */
export interface ActionData {
  arguments: unknown;
  error?: string | undefined;
  id: string;
  name: string;
}

/** The body of `/ai_request`, and each entry of a batch. */
export interface AiRequest {
  app_code?: string | null | undefined;
  user_id?: string | null | undefined;
  userId?: string | null | undefined;
  request_type: string;
  request: string;
  callback_url?: string | null | undefined;
  model?: string | null | undefined;
  priority?: number | null | undefined;
}

/** The body of `/ai_request/batch`. Its entries are read one by one; each may name its user. */
export interface AiRequestBatch {
  app_code?: string | null | undefined;
  user_id?: string | null | undefined;
  userId?: string | null | undefined;
  requests: AiRequest[];
}

/** What the model said. `completion_time` is UTC. */
export interface Answer {
  ai_response: string;
  completion_time: string;
  model_used: string;
  token_usage: TokenUsage;
}

export interface AnswerChoice {
  finish_reason: string;
  index: number;
  message: Said;
}

/** A chat completion in few fields. */
export interface AskAnswer {
  choices: AnswerChoice[];
  created: number;
  id: string;
  model: string;
  object: "chat.completion";
  usage: TokenCount;
}

/** The body of `/v1/ask`. `client_id` and `user_id` are names, no secrets. */
export interface AskRequest {
  app_code?: string | null | undefined;
  user_id?: string | null | undefined;
  userId?: string | null | undefined;
  question: string;
  history?: Turn[] | null | undefined;
  client_id?: string | null | undefined;
  stream?: boolean | null | undefined;
  model?: string | null | undefined;
  priority?: number | null | undefined;
  on_disconnect?: "cancel" | "continue" | null | undefined;
}

/** The request, and where to read what becomes of it; the address is a credential. */
export interface AssistantAccepted {
  request_id: string;
  status: State;
  stream_url: string;
}

/** The body of `/assistant/request`. */
export interface AssistantRequest {
  app_code?: string | null | undefined;
  user_id?: string | null | undefined;
  userId?: string | null | undefined;
  prompt: string;
  mode?: string | null | undefined;
  track_id?: string | null | undefined;
  context?: Record<string, unknown> | null | undefined;
  model?: string | null | undefined;
}

/** How a request stands; of the rest, what there is to say in that state. */
export interface AssistantStanding {
  actions?: ActionData[] | undefined;
  error?: ErrorData | undefined;
  estimated_wait_time?: string | undefined;
  mode?: string | null | undefined;
  model?: string | undefined;
  position?: number | undefined;
  request_id: string;
  response?: string | undefined;
  status: State;
  timings?: TimingsData | undefined;
  track_id?: string | null | undefined;
  usage?: UsageData | null | undefined;
}

/** The request as it stands now. */
export interface AssistantStopped {
  request_id: string;
  status: State;
}

/** One answer for each request, in their order. */
export interface BatchAccepted {
  results: (Accepted | Refusal)[];
  status: "success";
}

/** There will be no answer. */
export interface Broken {
  error_code: "AI_SERVICE_ERROR" | "INVALID_REQUEST" | "TIMEOUT";
  message: string;
  retry_possible: boolean;
  status: "error";
}

/** The body of `/api/chat/stream`. */
export interface ChatRequest {
  app_code?: string | null | undefined;
  user_id?: string | null | undefined;
  userId?: string | null | undefined;
  user_prompt: string;
  model?: string | null | undefined;
  system_prompt?: string | null | undefined;
  hyperparameters?: Record<string, unknown> | null | undefined;
  save_conversation?: boolean | null | undefined;
  conversation_id?: string | null | undefined;
  on_disconnect?: "cancel" | "continue" | null | undefined;
}

/** The next piece of the answer. */
export interface ChunkData {
  text: string;
}

/** Everything about an answer that is whole. */
export interface CompleteData {
  actions: ActionData[];
  mode: string | null;
  model: string;
  response: string;
  timings: TimingsData;
  track_id: string | null;
  usage: UsageData | null;
}

/** Why there is no whole answer, and whether another try can help. */
export interface ErrorData {
  code: string;
  message: string;
  retryable: boolean;
}

/** It waited too long. */
export interface Lapsed {
  message: string;
  retry_possible: boolean;
  status: "expired";
}

/** The answer is there. */
export interface Ready {
  response: Answer;
  status: "completed";
}

/** Why a request is refused. */
export interface Refusal {
  error_code: string;
  message: string;
  status: "error";
}

/** What was told of the answer is void: it begins anew. */
export interface RestartData {
  reason: string;
}

/** A worker has it. */
export interface Running {
  message: string;
  status: "processing";
}

export interface Said {
  content: string;
  role: "assistant";
}

/** How far a request has come. */
export interface StageData {
  stage: "finalizing" | "generating" | "processing" | "queued";
}

export type State = "cancelled" | "completed" | "error" | "expired" | "processing" | "queued";

/** How a request stands; while it waits, where in the line, from 1. */
export interface StatusData {
  estimated_wait_time?: string | undefined;
  position?: number | undefined;
  status: State;
}

/** Somebody cancelled it. */
export interface Stopped {
  message: string;
  status: "cancelled";
}

/** Seconds from the request to each step. */
export interface TimingsData {
  first_token_s: number | null;
  queued_s: number | null;
  total_s: number | null;
}

export interface TokenCount {
  completion_tokens: number;
  prompt_tokens: number;
  total_tokens: number;
}

/** Tokens; `estimated` is only there where the provider told none. */
export interface TokenUsage {
  completion_tokens: number;
  estimated?: true | undefined;
  prompt_tokens: number;
  total_tokens: number;
}

/** One turn of the history. */
export interface Turn {
  role: "assistant" | "system" | "user";
  content: string;
}

/** Tokens; estimated where the provider did not count. */
export interface UsageData {
  completion_tokens: number;
  estimated: boolean;
  prompt_tokens: number;
  total_tokens: number;
}

/** In the queue; `position` counts from 1. */
export interface Waiting {
  estimated_wait_time: string;
  message: string;
  position: number;
  status: "queued";
}
