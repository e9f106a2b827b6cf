/** docs/how-to/browser-client.md: what it shows works as it stands there. */

import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { launchChromium } from "../../test/chromium.ts";
import { CODE, Gateway } from "../../test/gateway.ts";
import { bundle } from "./bundle.ts";

const PAGE = fileURLToPath(new URL("../../../docs/how-to/browser-client.md", import.meta.url));
const ANSWER = "built-in simulator";

let gateway: Gateway;
let site: Server;
let origin: string;
let folder: string;
let text: string;
let refused = false;

/** What stands on the page in that language, for this gateway. */
const blocks = (language: string) =>
  [...text.matchAll(new RegExp(`\`\`\`${language}\n(.*?)\`\`\``, "gs"))].map((found) =>
    (found[1] as string).replaceAll("http://127.0.0.1:5000", gateway.origin),
  );

beforeAll(async () => {
  text = await readFile(PAGE, "utf-8");
  const client = await bundle();
  site = createServer((request, response) => {
    const token = request.url === "/token";
    response.setHeader("Content-Type", token ? "text/plain" : "text/html; charset=utf-8");
    // The client is the one that is tested, not the one that was built last.
    const html = () => blocks("html")[0]?.replace(/"[^"]+\/static\/client.js"/, '"/client.js"');
    if (request.url === "/client.js") response.setHeader("Content-Type", "text/javascript");
    const code = refused ? "no-such-code" : CODE;
    response.end(token ? code : request.url === "/client.js" ? client : html());
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => site.once("listening", resolve));
  origin = `http://127.0.0.1:${(site.address() as { port: number }).port}`;
  gateway = await Gateway.start({
    environ: { ALLOWED_ORIGINS: origin, DEFAULT_MODEL: "simulator/simulator?gap=0.05" },
    app: { allowed_request_types: ["chat"] },
  });
  folder = await mkdtemp(join(tmpdir(), "howto-"));
  const installed = join(folder, "node_modules/ai-streaming-gateway-client");
  await mkdir(join(installed, "dist"), { recursive: true });
  const described = new URL("../package.json", import.meta.url);
  await writeFile(join(installed, "package.json"), await readFile(described));
  await writeFile(join(installed, "dist/index.js"), client);
});

afterAll(async () => {
  await gateway?.close();
  site?.closeAllConnections();
  site?.close();
  await rm(folder, { recursive: true, force: true });
});

test("Each script does in Node what is said of it.", async () => {
  const printed: string[] = [];
  for (const [at, code] of blocks("js").entries()) {
    const file = join(folder, `${at}.mjs`);
    await writeFile(file, code);
    const env = { ...process.env, APP_CODE: CODE };
    const { stdout, stderr } = await promisify(execFile)("node", [file], { env });
    expect(stderr).toBe("");
    printed.push(stdout);
  }
  expect(printed).toHaveLength(3);
  expect(printed[0]).toContain(ANSWER);
  expect(printed[1]).toBe("unauthenticated 401 Sign in again, or use another app code.\n");
  expect(printed[2]?.split(ANSWER)).toHaveLength(3);
  expect(printed[2]).toContain("completed");
});

test("The page streams, is reloaded in the middle, goes on, and stops.", async () => {
  const browser = await launchChromium();
  try {
    const tab = await browser.newPage();
    const errors: Error[] = [];
    tab.on("pageerror", (error) => errors.push(error));
    await tab.goto(origin);
    // There is nothing to stop yet.
    await tab.getByText("Stop").click();
    const output = tab.locator("output");
    const shown = async () => (await output.textContent()) ?? "";
    await tab.getByText("Ask", { exact: true }).click();
    await tab.waitForFunction("document.querySelector('output').textContent.length > 20");
    await tab.reload();
    const before = await tab.evaluate("JSON.parse(sessionStorage.kept).text");
    expect(await shown()).toContain(before as string);
    await tab.waitForFunction("document.querySelector('output').textContent.endsWith('happens.')");
    expect((await shown()).split(ANSWER)).toHaveLength(2);
    await tab.getByText("Ask", { exact: true }).click();
    await tab.waitForFunction("/^.{1,60}$/.test(document.querySelector('output').textContent)");
    await tab.getByText("Stop").click();
    await tab.getByText("Send the request again").waitFor();
    // Two questions, one soon after the other: only the last is read.
    await tab.getByText("Ask", { exact: true }).click();
    await tab.waitForFunction("/^.{10,60}$/.test(document.querySelector('output').textContent)");
    await tab.getByText("Ask", { exact: true }).click();
    await tab.waitForFunction("document.querySelector('output').textContent.endsWith('happens.')");
    expect((await shown()).split(ANSWER)).toHaveLength(2);
    refused = true;
    await tab.getByText("Ask", { exact: true }).click();
    await tab.getByText("Sign in again").waitFor();
    expect(errors).toEqual([]);
  } finally {
    await browser.close();
  }
});
