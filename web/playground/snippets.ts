/** A request as code to take along: shell, Python, TypeScript. The app code is never in it. */

import { type Door, doorOf, type Settings } from "./doors.ts";

export type Language = "curl" | "Python" | "TypeScript";

export interface Asking {
  readonly settings: Settings;
  /** The gateway's address, without a slash at its end. */
  readonly gateway: string;
  /** The gateway wants an app code, which the code takes from the environment. */
  readonly needsCode: boolean;
}

export function snippet(language: Language, asking: Asking): string {
  const door = doorOf(asking.settings);
  const body = door.body(asking.settings);
  if (language === "curl") return curl(door, body, asking);
  return language === "Python" ? python(door, body, asking) : typescript(door, body, asking);
}

// Shell -------------------------------------------------------------------------------------

function curl(door: Door, body: object, { gateway, needsCode }: Asking): string {
  const code = needsCode ? ` \\\n  -H "Authorization: Bearer $APP_CODE"` : "";
  const post = (flags: string) =>
    `curl ${flags} ${quoted(gateway + door.path)} \\\n  -H 'Content-Type: application/json'${code} \\\n  -d ${quoted(JSON.stringify(body))}`;
  const field = (name: string) =>
    `python3 -c 'import json, sys; print(json.load(sys.stdin)["${name}"])'`;
  switch (door.name) {
    case "assistant":
      return `stream_url=$(${post("-sS")} |\n  ${field("stream_url")})\ncurl -sSN "$stream_url"`;
    case "n8n":
      return `stream_url=$(${post("-sS")} |\n  ${field("streamUrl")})\ncurl -sSN "$stream_url"`;
    case "job":
      return `request_id=$(${post("-sS")} |\n  ${field("request_id")})\ncurl -sS "${gateway}/get_request/$request_id?wait=30"${code}`;
    default:
      return post("-sSN");
  }
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

// Python ------------------------------------------------------------------------------------

function python(door: Door, body: Record<string, unknown>, asking: Asking): string {
  if (door.name === "openai") return pythonOpenAI(body, asking);
  const { gateway, needsCode } = asking;
  const key = `headers={"Authorization": f"Bearer {os.environ['APP_CODE']}"}, `;
  const open = `httpx.Client(base_url=${JSON.stringify(gateway)}, ${needsCode ? key : ""}timeout=None)`;
  const imports = needsCode ? "import os\n\nimport httpx\n" : "import httpx\n";
  return `${imports}\nbody = ${pythonValue(body)}\n\nwith ${open} as http:\n${pythonCalls(door)}`;
}

function pythonCalls({ name, path }: Door): string {
  const post = `    told = http.post("${path}", json=body).raise_for_status().json()\n`;
  const lines = "        for line in stream.iter_lines():\n            print(line)";
  switch (name) {
    case "assistant":
      return `${post}    with http.stream("GET", told["stream_url"]) as stream:\n${lines}`;
    case "n8n":
      return `${post}    with http.stream("GET", told["streamUrl"]) as stream:\n${lines}`;
    case "job":
      return `${post}    print(http.get(f"/get_request/{told['request_id']}?wait=30").json())`;
    default:
      return `    with http.stream("POST", "${path}", json=body) as stream:\n${lines}`;
  }
}

function pythonOpenAI(body: Record<string, unknown>, { gateway, needsCode }: Asking): string {
  const key = needsCode ? `os.environ["APP_CODE"]` : `"none"`;
  const given = Object.entries({ model: "default", ...body })
    .map(([name, value]) => `    ${name}=${pythonValue(value, 4)},\n`)
    .join("");
  return `${needsCode ? "import os\n\n" : ""}from openai import OpenAI

client = OpenAI(base_url=${JSON.stringify(`${gateway}/v1`)}, api_key=${key})
chunks = client.chat.completions.create(
${given})
for chunk in chunks:
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="", flush=True)`;
}

/** A value of JSON's as Python writes it. */
function pythonValue(value: unknown, indent = 0): string {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value !== "object") return JSON.stringify(value);
  const inner = " ".repeat(indent + 4);
  const items = Array.isArray(value)
    ? value.map((each) => pythonValue(each, indent + 4))
    : Object.entries(value).map(
        ([name, each]) => `${JSON.stringify(name)}: ${pythonValue(each, indent + 4)}`,
      );
  const [open, close] = Array.isArray(value) ? "[]" : "{}";
  return `${open}\n${items.map((item) => `${inner}${item},\n`).join("")}${" ".repeat(indent)}${close}`;
}

// TypeScript --------------------------------------------------------------------------------

const CALLS = {
  assistant: {
    imports: "interactWithAssistant",
    code: `for await (const event of interactWithAssistant(request, options)) {
  if (event.event === "response_chunk") process.stdout.write(event.data.text);
}`,
  },
  chat: {
    imports: "streamChat",
    code: `for await (const event of streamChat(request, options)) {
  if (event.event === "text") process.stdout.write(event.data);
}`,
  },
  n8n: {
    imports: "callGateway, streamText",
    code: `const { streamUrl } = await callGateway<{ streamUrl: string }>("POST", "/init-stream", request, options);
for await (const event of streamText(streamUrl)) {
  if (event.event === "text") process.stdout.write(event.data);
}`,
  },
  ask: {
    imports: "streamAsk",
    code: `for await (const event of streamAsk(request, options)) {
  if (event.event === "text") process.stdout.write(event.data);
}`,
  },
  job: {
    imports: "submitJob, waitForJob",
    code: `const { request_id } = await submitJob(request, options);
const { response } = await waitForJob(request_id, options);
console.log(response.ai_response);`,
  },
} as const;

function typescript(door: Door, body: Record<string, unknown>, asking: Asking): string {
  if (door.name === "openai") return typescriptOpenAI(body, asking);
  const { gateway, needsCode } = asking;
  const { imports, code } = CALLS[door.name];
  const token = needsCode ? ", token: process.env.APP_CODE" : "";
  // The client says so itself.
  const { stream: _, ...request } = body;
  return `import { ${imports} } from "ai-streaming-gateway-client";

const options = { url: ${JSON.stringify(gateway)}${token} };
const request = ${JSON.stringify(request, null, 2)};
${code}`;
}

function typescriptOpenAI(body: Record<string, unknown>, { gateway, needsCode }: Asking): string {
  const key = needsCode ? "process.env.APP_CODE" : `"none"`;
  const { stream: _, ...request } = { model: "default", ...body } as Record<string, unknown>;
  const given = JSON.stringify(request, null, 2).slice(0, -2);
  return `import OpenAI from "openai";

const client = new OpenAI({ baseURL: ${JSON.stringify(`${gateway}/v1`)}, apiKey: ${key} });
const chunks = await client.chat.completions.create(${given},
  "stream": true
});
for await (const chunk of chunks) {
  process.stdout.write(chunk.choices[0]?.delta.content ?? "");
}`;
}
