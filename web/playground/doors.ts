/** The ways to ask the gateway, and what each takes. */

export type DoorName = "assistant" | "chat" | "n8n" | "ask" | "openai" | "job";

/** Everything that can be filled in; empty is left out of the request. */
export interface Settings {
  readonly door: DoorName;
  readonly prompt: string;
  readonly model: string;
  readonly system: string;
  readonly temperature: string;
  readonly topP: string;
  readonly maxTokens: string;
  readonly mode: string;
  readonly requestType: string;
  readonly resumeUrl: string;
}

export type FieldName = Exclude<keyof Settings, "door" | "prompt" | "model">;

export interface Door {
  readonly name: DoorName;
  readonly title: string;
  readonly path: string;
  readonly says: string;
  readonly fields: readonly FieldName[];
  body(settings: Settings): Record<string, unknown>;
}

export const DEFAULTS: Settings = {
  door: "assistant",
  prompt: "Why is the sky blue?",
  model: "",
  system: "",
  temperature: "",
  topP: "",
  maxTokens: "",
  mode: "chat",
  requestType: "chat",
  resumeUrl: "",
};

const SAMPLING = ["temperature", "topP", "maxTokens"] as const;

export const DOORS: readonly Door[] = [
  {
    name: "assistant",
    title: "Assistant",
    path: "/assistant/request",
    says: "Ask first, then read stages, text and actions as events.",
    fields: ["mode"],
    body: ({ prompt, mode, model }) => filled({ prompt, mode, model }),
  },
  {
    name: "chat",
    title: "Chat",
    path: "/api/chat/stream",
    says: "One request whose answer is the stream.",
    fields: ["system", ...SAMPLING],
    body: (settings) =>
      filled({
        user_prompt: settings.prompt,
        model: settings.model,
        system_prompt: settings.system,
        hyperparameters: sampling(settings),
      }),
  },
  {
    name: "n8n",
    title: "n8n stream",
    path: "/init-stream",
    says: "A workflow starts it, a page reads plain text, and a callback brings the answer back.",
    fields: ["resumeUrl", "maxTokens"],
    body: ({ prompt, resumeUrl, model, maxTokens }) =>
      filled({ prompt, resumeUrl, model, max_tokens: number(maxTokens) }),
  },
  {
    name: "ask",
    title: "Ask",
    path: "/v1/ask",
    says: "One question, one answer, in few fields.",
    fields: [],
    body: ({ prompt, model }) => filled({ question: prompt, model, stream: true }),
  },
  {
    name: "openai",
    title: "OpenAI",
    path: "/v1/chat/completions",
    says: "OpenAI's own wire: their libraries need nothing but the address.",
    fields: ["system", ...SAMPLING],
    body: (settings) =>
      filled({
        model: settings.model,
        messages: [
          ...(settings.system ? [{ role: "system", content: settings.system }] : []),
          { role: "user", content: settings.prompt },
        ],
        stream: true,
        ...sampling(settings),
      }),
  },
  {
    name: "job",
    title: "Job queue",
    path: "/ai_request",
    says: "Ask now, and come back for the answer.",
    fields: ["requestType"],
    body: ({ requestType, prompt, model }) =>
      filled({ request_type: requestType, request: prompt, model }),
  },
];

export function doorOf({ door }: Settings): Door {
  const found = DOORS.find(({ name }) => name === door) ?? DOORS[0];
  if (!found) throw new Error("there are doors");
  return found;
}

function sampling(settings: Settings): Record<string, unknown> | undefined {
  const given = filled({
    temperature: number(settings.temperature),
    top_p: number(settings.topP),
    max_tokens: number(settings.maxTokens),
  });
  return Object.keys(given).length ? given : undefined;
}

/** A number as it was typed; what is none goes out as it is, for the gateway to say so. */
function number(text: string): number | string | undefined {
  if (!text.trim()) return undefined;
  const value = Number(text);
  return Number.isNaN(value) ? text : value;
}

function filled(fields: Record<string, unknown>): Record<string, unknown> {
  const given = Object.entries(fields).filter(([, value]) => value !== undefined && value !== "");
  return Object.fromEntries(given);
}
