// Plays one scene with OpenAI's own client, and prints what it saw as JSON.
//   node client.mjs SCENE ORIGIN KEY

import OpenAI from "openai";

const [scene, origin, apiKey] = process.argv.slice(2);
const client = new OpenAI({ apiKey, baseURL: `${origin}/v1`, maxRetries: 0 });
const messages = [{ role: "user", content: "one two" }];
const QUICK = "simulator/echo?first=0&gap=0";
const ENDLESS = "simulator/lorem?first=0&gap=0.02&tokens=100000";
const tools = [{ type: "function", function: { name: "look", parameters: { type: "object" } } }];

async function refusal(ask) {
  try {
    await ask();
  } catch (error) {
    return [error.constructor.name, error.status, error.code, error.headers?.get("retry-after") ?? null];
  }
  return null;
}

const ask = (model, more = {}) => client.chat.completions.create({ model, messages, ...more });

const scenes = {
  async whole() {
    const answer = await ask(QUICK);
    return [answer.choices[0].message.content, answer.choices[0].finish_reason, answer.usage, answer._request_id];
  },

  async streamed() {
    const stream = await ask(QUICK, { stream: true, stream_options: { include_usage: true } });
    const seen = { text: "", finish: null, usage: null };
    for await (const chunk of stream) {
      seen.text += chunk.choices[0]?.delta.content ?? "";
      seen.finish = chunk.choices[0]?.finish_reason ?? seen.finish;
      seen.usage = chunk.usage ?? seen.usage;
    }
    return seen;
  },

  async tools() {
    const stream = client.chat.completions.stream({ model: `${QUICK}&tools=2`, messages, tools });
    const { choices } = await stream.finalChatCompletion();
    return [choices[0].finish_reason, choices[0].message.tool_calls.map((call) => [call.id, call.function.name, JSON.parse(call.function.arguments)])];
  },

  async errors() {
    const stranger = new OpenAI({ apiKey: "nobody", baseURL: `${origin}/v1`, maxRetries: 0 });
    return {
      400: await refusal(() => ask(QUICK, { n: 2 })),
      401: await refusal(() => stranger.models.list()),
      404: await refusal(() => ask("no-such-model")),
      502: await refusal(() => ask("simulator/echo?first=0&cut=0&gap=0")),
      504: await refusal(() => ask("simulator/echo?first=0&stall=0")),
      stream: await refusal(async () => {
        for await (const _ of await ask(`${QUICK}&cut=1`, { stream: true }));
      }),
    };
  },

  async limited() {
    await ask(QUICK);
    return refusal(() => ask(QUICK));
  },

  // The client leaves in mid-stream.
  async left() {
    const stream = await ask(ENDLESS, { stream: true });
    let chunks = 0;
    for await (const _ of stream) {
      if (++chunks === 5) stream.controller.abort();
    }
    return chunks;
  },

  async background() {
    const made = await client.responses.create({ model: QUICK, input: "one two", background: true, stream: true });
    const first = [];
    for await (const event of made) {
      first.push(event);
      if (first.length === 5) break;
    }
    const id = first[0].response.id;
    const rest = [];
    const after = first.at(-1).sequence_number;
    for await (const event of await client.responses.retrieve(id, { stream: true, starting_after: after })) rest.push(event);
    const whole = await client.responses.retrieve(id);
    return [[...first, ...rest].map((event) => event.sequence_number), rest.at(-1).type, whole.output_text, whole.status];
  },

  async models() {
    const ids = [];
    for await (const model of client.models.list()) ids.push(model.id);
    return ids;
  },
};

console.log(JSON.stringify(await scenes[scene]()));
