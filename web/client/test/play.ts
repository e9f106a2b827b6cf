/**
 * Reading streams of every door, and what was seen of each. It runs in Node and, sent there as
 * its source, in a page: so it may use nothing but its argument and the client, which is a global.
 */

export interface Play {
  door: "assistant" | "two-step" | "chat" | "ask" | "job" | "text";
  url: string;
  token: string;
  text: string;
  model: string;
  /** Of the text door: where the workflow's answer is. */
  streamUrl?: string;
}

export interface Seen {
  door: string;
  /** The pieces joined, as a reader has them at the end. */
  text: string;
  /** The whole answer, as the last event tells it. */
  whole: string;
  /** Ids that came twice, or out of order. */
  twice: string[];
  /** Connections that were made. */
  tries: number;
  error?: string;
}

export async function play(plays: Play[]): Promise<Seen[]> {
  const client = (globalThis as unknown as { client: typeof import("../src/index.ts") }).client;

  async function one({ door, url, token, text, model, streamUrl }: Play): Promise<Seen> {
    const seen: Seen = { door, text: "", whole: "", twice: [], tries: 0 };
    let last: number[] = [-1, -1];
    const order = (id: string) => {
      const now = id.split("-").map(Number);
      const [attempt = 0, seq = 0] = now;
      const [before = 0, at = 0] = last;
      if (attempt < before || (attempt === before && seq <= at)) seen.twice.push(id);
      last = now;
    };
    const options = {
      url,
      token,
      // Quick, so that many cuts take little time.
      delay: (failures: number) => Math.min(20 * 2 ** failures, 500),
      attempts: 30,
      debug: (entry: { type: string }) => {
        if (entry.type === "request") seen.tries++;
      },
    };
    const assistant = async (stream: ReturnType<typeof client.interactWithAssistant>) => {
      for await (const event of stream) {
        if (event.event === "accepted") continue;
        if (event.id) order(event.id);
        if (event.event === "response_chunk") seen.text += event.data.text;
        if (event.event === "restart") seen.text = "";
        if (event.event === "complete") seen.whole = event.data.response;
      }
    };
    const pieces = async (stream: ReturnType<typeof client.streamChat>, ids = true) => {
      for await (const event of stream) {
        if (event.id && ids && event.event !== "begin") order(event.id);
        if (event.event === "text") seen.text += event.data;
        if (event.event === "restart") seen.text = "";
        if (event.event === "complete") seen.whole = event.data.text;
      }
    };
    const prompt = { prompt: text, model };
    try {
      if (door === "assistant") await assistant(client.interactWithAssistant(prompt, options));
      else if (door === "two-step")
        await assistant(
          client.streamAssistantResponse(await client.requestAssistant(prompt, options), options),
        );
      else if (door === "chat")
        await pieces(client.streamChat({ user_prompt: text, model }, options));
      else if (door === "ask") await pieces(client.streamAsk({ question: text, model }, options));
      else if (door === "text") await pieces(client.streamText(streamUrl as string, options));
      else {
        const asked = { request_type: "ask", request: text, model };
        const { request_id } = await client.submitJob(asked, options);
        const { response } = await client.waitForJob(request_id, options);
        seen.text = seen.whole = response.ai_response;
      }
    } catch (error) {
      seen.error = String(error);
    }
    return seen;
  }

  return Promise.all(plays.map(one));
}
