/** Who sits before the dashboard of a real gateway, in a real browser. */

import { type ChildProcess, spawn } from "node:child_process";
import { createServer, type Server } from "node:http";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { expect } from "vitest";
import { CODE, type Gateway, PATIENCE, PYTHON, ROOT } from "../../test/gateway.ts";

/** A page of the gateway's; what its console complains of is kept. */
export class Operator {
  readonly page: Page;
  readonly complaints: string[] = [];
  readonly #gateway: Gateway;

  private constructor(page: Page, gateway: Gateway) {
    this.page = page;
    this.#gateway = gateway;
    page.on("pageerror", (error) => this.complaints.push(String(error)));
    page.on("dialog", (dialog) => {
      this.complaints.push(`a dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    page.on("console", (message) => {
      // A refusal that the page explains is in the console all the same.
      if (message.type() === "error" && !message.text().startsWith("Failed to load resource"))
        this.complaints.push(message.text());
    });
  }

  static async at(
    browser: Browser,
    gateway: Gateway,
    options: BrowserContextOptions = {},
  ): Promise<Operator> {
    const context = await browser.newContext({
      viewport: { width: 1440, height: 900 },
      ...options,
    });
    context.setDefaultTimeout(PATIENCE);
    return new Operator(await context.newPage(), gateway);
  }

  async go(place = ""): Promise<void> {
    await this.page.goto(`${this.#gateway.origin}/dashboard${place}`);
  }

  async signIn(code: string): Promise<void> {
    await this.page.getByLabel("App code").fill(code);
    await this.page.getByRole("button", { name: "Sign in" }).click();
  }

  /** Wait until some text is seen. */
  async sees(text: string | RegExp): Promise<void> {
    try {
      await this.page.getByText(text).first().waitFor();
    } catch (error) {
      const seen = (await this.page.innerText("body")).slice(0, 500);
      throw new Error(`${text} is not there, but: ${seen} ${this.complaints.join()}`, {
        cause: error,
      });
    }
  }

  async leave(): Promise<void> {
    await this.page.context().close();
    expect(this.complaints).toEqual([]);
  }
}

/** Ask at the job queue; the request's id. */
export async function ask(
  gateway: Gateway,
  request: string,
  more: Record<string, unknown> = {},
): Promise<string> {
  const response = await fetch(`${gateway.origin}/ai_request`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ app_code: CODE, request_type: "ask", request, ...more }),
  });
  expect(response.status).toBe(200);
  return ((await response.json()) as { request_id: string }).request_id;
}

/** Wait until a request is over. */
export async function ended(gateway: Gateway, id: string): Promise<void> {
  await expect
    .poll(async () => {
      const response = await fetch(`${gateway.origin}/get_request/${id}`);
      return ((await response.json()) as { status: string }).status;
    })
    .toMatch(/completed|error|cancelled/);
}

/** A provider that is only simulated, but asked over its wire, and has a price. */
export class Provider {
  readonly origin: string;
  readonly #process: ChildProcess;

  private constructor(origin: string, child: ChildProcess) {
    this.origin = origin;
    this.#process = child;
  }

  static async start(): Promise<Provider> {
    const child = spawn(PYTHON, [join(ROOT, "run.py"), "simulate"], {
      cwd: ROOT,
      env: { PATH: process.env.PATH ?? "", PYTHONUNBUFFERED: "1" },
      stdio: ["ignore", "pipe", "inherit"],
    });
    for await (const line of createInterface({ input: child.stdout })) {
      const [origin] = /http:\/\/[\d.:]+/.exec(line) ?? [];
      if (origin) return new Provider(origin, child);
    }
    throw new Error("the simulated provider did not start");
  }

  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.#process.once("exit", resolve));
    this.#process.kill("SIGKILL");
    await ended;
  }
}

/** Takes callbacks, and answers as it is told. */
export class Receiver {
  readonly origin: string;
  /** The ids of the posts that came. */
  readonly posts: string[] = [];
  /** 409 with a text by which n8n says that the workflow is over: no further try is made. */
  status: 200 | 409 = 200;
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
    this.origin = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
    server.on("request", (request, response) => {
      request.resume();
      request.on("end", () => {
        this.posts.push(String(request.headers["webhook-id"]));
        response.writeHead(this.status, { "Content-Type": "application/json" });
        response.end(JSON.stringify({ message: "The execution has finished already." }));
      });
    });
  }

  static async start(): Promise<Receiver> {
    const server = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    return new Receiver(server);
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
