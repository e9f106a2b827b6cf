/** The package as it is published: its types, its version, and what it does without. */

import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";

const run = promisify(execFile);
const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const TSC = here("../../node_modules/typescript/bin/tsc");

// What a user writes; each mistake must be one.
const CONSUMER = `
import { type AssistantEvent, interactWithAssistant, streamChat, whole } from "ai-streaming-gateway-client";

const options = { url: "https://ai.example.org", token: async (fresh: boolean) => (fresh ? "a" : "b") };
export async function read(signal: AbortSignal): Promise<string> {
  let text = "";
  for await (const event of interactWithAssistant({ prompt: "x", mode: undefined }, { ...options, signal })) {
    if (event.event === "accepted") text += event.data.stream_url;
    if (event.event === "response_chunk") text += event.data.text;
    if (event.event === "action") text += event.data.name;
    // @ts-expect-error: there is no such event
    if (event.event === "nothing") text = "";
    // @ts-expect-error: not every event has a text
    text += event.data.text;
  }
  const { response, usage } = await whole(interactWithAssistant({ prompt: "x" }, options));
  const tokens: number | undefined = usage?.total_tokens;
  const told: TextOf = await whole(streamChat({ user_prompt: "x" }));
  return text + response + tokens + told.text;
}
type TextOf = { text: string };
export type Told = Extract<AssistantEvent, { event: "complete" }>["data"]["timings"];
// @ts-expect-error: a prompt is needed
interactWithAssistant({ mode: "chat" });
// @ts-expect-error: seconds are no option
interactWithAssistant({ prompt: "x" }, { seconds: 1 });
`;

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "package-"));
  const installed = join(folder, "node_modules/ai-streaming-gateway-client");
  await mkdir(installed, { recursive: true });
  await writeFile(join(installed, "package.json"), await readFile(here("../package.json")));
  await run("node", [
    TSC,
    "-p",
    here("../tsconfig.build.json"),
    "--outDir",
    join(installed, "dist"),
  ]);
});

afterAll(() => rm(folder, { recursive: true, force: true }));

test.each(["bundler", "nodenext"])("Its types serve a user who resolves as %s.", async (how) => {
  const options = {
    strict: true,
    noEmit: true,
    target: "es2022",
    lib: ["es2022", "dom"],
    types: [],
    module: how === "nodenext" ? "nodenext" : "esnext",
    moduleResolution: how,
  };
  await writeFile(join(folder, "package.json"), '{"type": "module"}');
  await writeFile(join(folder, "user.ts"), CONSUMER);
  await writeFile(
    join(folder, "tsconfig.json"),
    JSON.stringify({ compilerOptions: options, files: ["user.ts"] }),
  );
  const { stdout } = await run("node", [TSC, "-p", folder]).catch((error) => error);
  expect(stdout).toBe("");
});

test("What is packed from a checkout is all of it.", async () => {
  // As in a checkout, where nothing was built yet.
  await rm(here("../dist"), { recursive: true, force: true });
  // The settings of the folder that the tests run in are handed down to it, and run nothing.
  const env = { ...process.env, npm_config_ignore_scripts: "false" };
  const { stdout } = await run("npm", ["pack", "--dry-run", "--json"], { cwd: here(".."), env });
  const packed = JSON.parse(stdout.slice(stdout.indexOf("[\n")))[0].files as { path: string }[];
  const names = packed.map(({ path }) => path);
  for (const name of ["LICENSE", "README.md", "package.json", "dist/index.js", "dist/index.d.ts"])
    expect(names).toContain(name);
});

test("It has the gateway's version, and depends on nothing.", async () => {
  const described = JSON.parse(await readFile(here("../package.json"), "utf-8"));
  const gateway = await readFile(here("../../../gateway/__init__.py"), "utf-8");
  expect(described.version).toBe(/__version__ = "(.+)"/.exec(gateway)?.[1]);
  expect(Object.keys(described).filter((key) => /dependencies/i.test(key))).toEqual([]);
});
