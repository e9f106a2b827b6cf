/** The gateway itself, as a process of its own with a folder of its own, and its simulated model. */

import { type ChildProcess, spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { existsSync } from "node:fs";
import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const VENV = join(ROOT, ".venv/bin/python");
export const PYTHON = process.env.GATEWAY_PYTHON ?? (existsSync(VENV) ? VENV : "python3");
/** What is waited for comes, also on a machine that does much else; milliseconds. */
export const PATIENCE = 60_000;

export const CODE = "app-code-of-the-browser-tests";
/** An app that may also look after the gateway. */
export const ADMIN_CODE = "app-code-of-the-owner-of-the-tests";

export interface GatewaySettings {
  /** Settings by their names in the environment. */
  environ?: Record<string, string>;
  /** More of the app's entry in apps.json. */
  app?: Record<string, unknown>;
  /** Apps by their codes, in the place of the two there are. */
  apps?: Record<string, unknown>;
}

/**
 * A port that nobody listens on, and that no client is given by chance: it lies below those that
 * a kernel hands out. Chance is not the test's own: another run of the same may be under way.
 */
async function quietPort(): Promise<number> {
  for (;;) {
    const port = randomInt(20_000, 32_000);
    const server = createServer();
    const free = await new Promise<boolean>((resolve) =>
      server.once("error", () => resolve(false)).listen(port, "127.0.0.1", () => resolve(true)),
    );
    if (!free) continue;
    await new Promise((resolve) => server.close(resolve));
    return port;
  }
}

export class Gateway {
  readonly origin: string;
  /** What it has printed. */
  readonly lines: string[] = [];
  readonly #folder: string;
  readonly #environ: Record<string, string>;
  #process: ChildProcess | undefined;

  private constructor(folder: string, port: number, environ: Record<string, string>) {
    this.origin = `http://127.0.0.1:${port}`;
    this.#folder = folder;
    this.#environ = {
      PATH: process.env.PATH ?? "",
      PYTHONUNBUFFERED: "1",
      HOST: "127.0.0.1",
      SERVER_PORT: String(port),
      DATA_DIR: join(folder, "data"),
      GATEWAY_CONF: join(folder, "conf"),
      JWT_SECRET: "a-secret-of-more-than-thirty-two-bytes",
      DEFAULT_MODEL: "simulator/echo?first=0&gap=0.01",
      RETENTION: "3600",
      ...environ,
    };
  }

  static async start({ environ = {}, app = {}, apps }: GatewaySettings = {}): Promise<Gateway> {
    const folder = await mkdtemp(join(tmpdir(), "gateway-web-"));
    await cp(join(ROOT, "conf"), join(folder, "conf"), { recursive: true });
    const may = { allowed_request_types: ["ask"], max_tokens: 100_000 };
    const app_codes = apps ?? {
      [CODE]: { name: "shop", ...may, ...app },
      [ADMIN_CODE]: { name: "owner", ...may, admin: true },
    };
    await writeFile(join(folder, "conf", "apps.json"), JSON.stringify({ app_codes }));
    const gateway = new Gateway(folder, await quietPort(), environ);
    await gateway.run();
    return gateway;
  }

  /** Start the process, and wait until it takes requests. */
  async run(): Promise<void> {
    const child = spawn(PYTHON, [join(ROOT, "run.py"), "serve"], {
      cwd: ROOT,
      env: this.#environ,
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#process = child;
    for (const output of [child.stdout, child.stderr])
      createInterface({ input: output }).on("line", (line) => this.lines.push(line));
    const late = Date.now() + PATIENCE;
    while (!(await fetch(`${this.origin}/health/ready`).catch(() => undefined))?.ok) {
      if (child.exitCode !== null || Date.now() > late)
        throw new Error(`the gateway did not start:\n${this.lines.slice(-20).join("\n")}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** End the process: SIGKILL as a crash does, SIGTERM as its supervisor does. */
  async end(signal: "SIGKILL" | "SIGTERM" = "SIGKILL"): Promise<void> {
    const child = this.#process;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill(signal);
    await ended;
  }

  /** End it for good, and remove its folder. */
  async close(): Promise<void> {
    await this.end();
    await rm(this.#folder, { recursive: true, force: true });
  }
}
