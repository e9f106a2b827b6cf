/** What the playground gives to copy works as it stands there. */

import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { transformWithOxc } from "vite";
import { afterAll, beforeAll, expect, test } from "vitest";
import { bundle } from "../../client/test/bundle.ts";
import { CODE, Gateway } from "../../test/gateway.ts";
import { DEFAULTS, DOORS, type Settings } from "../doors.ts";
import { snippet } from "../snippets.ts";

const run = promisify(execFile);
const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const PYTHON = process.env.GATEWAY_PYTHON ?? here("../../../.venv/bin/python");
const OPENAI = here("../../../tests/node/node_modules/openai");
const PROMPT = `It's "quoted", $HOME and \\n: 'żółć' 🙂`;

let gateway: Gateway;
let folder: string;

beforeAll(async () => {
  gateway = await Gateway.start({ environ: { CALLBACK_ALLOWED_ORIGINS: "http://127.0.0.1:9" } });
  folder = await mkdtemp(join(tmpdir(), "snippets-"));
  const installed = join(folder, "node_modules/ai-streaming-gateway-client");
  await mkdir(join(installed, "dist"), { recursive: true });
  await cp(here("../../client/package.json"), join(installed, "package.json"));
  await writeFile(join(installed, "dist/index.js"), await bundle());
  await symlink(OPENAI, join(folder, "node_modules/openai"));
});

afterAll(async () => {
  await gateway?.close();
  await rm(folder, { recursive: true, force: true });
});

function settings(door: Settings["door"]): Settings {
  const resumeUrl = `http://127.0.0.1:9/callback/${door}`;
  // With every field that the door has.
  return {
    ...DEFAULTS,
    door,
    prompt: PROMPT,
    model: "simulator/echo?first=0&gap=0",
    system: "Be brief.",
    temperature: "0.5",
    maxTokens: "1000",
    requestType: "ask",
    resumeUrl,
  };
}

async function printed(command: string, ...words: string[]): Promise<string> {
  const env = { ...process.env, APP_CODE: CODE };
  const { stdout } = await run(command, words, { cwd: folder, env });
  return stdout;
}

/** The answer, whatever wire it came by: without what stands between its pieces. */
function answer(text: string): string {
  const pieces = [...text.matchAll(/"(?:text|content|ai_response)": ?("(?:[^"\\]|\\.)*")/g)];
  return pieces.map(([, json]) => JSON.parse(json ?? '""')).join("");
}

const asking = (door: Settings["door"]) => ({
  settings: settings(door),
  gateway: gateway.origin,
  needsCode: true,
});
const plain = (text: string) =>
  [...text.matchAll(/^data: (.*)$/gm)]
    .map(([, data]) => data)
    .join("")
    .replace("[DONE]", "");

test.each(DOORS.map(({ name }) => name))("at the door %s, in three languages", async (door) => {
  const shell = await printed("bash", "-euc", snippet("curl", asking(door)));
  expect(door === "n8n" ? plain(shell) : answer(shell)).toContain(PROMPT);

  const python = snippet("Python", asking(door));
  const file = join(folder, `try_${door}.py`);
  await writeFile(file, python);
  const said = await printed(PYTHON, file);
  if (door === "n8n") expect(plain(said)).toContain(PROMPT);
  else if (door === "openai") expect(said).toBe(PROMPT);
  else if (door === "job") expect(said).toContain("ai_response");
  else expect(answer(said)).toContain(PROMPT);

  const { code } = await transformWithOxc(snippet("TypeScript", asking(door)), `${door}.ts`);
  await writeFile(join(folder, `${door}.mjs`), code);
  expect((await printed(process.execPath, join(folder, `${door}.mjs`))).trim()).toBe(PROMPT);
});

test("the app's code is in none of them", () => {
  for (const { name } of DOORS)
    for (const language of ["curl", "Python", "TypeScript"] as const) {
      const code = snippet(language, asking(name));
      expect(code).toContain("APP_CODE");
      expect(code).not.toContain(CODE);
    }
});
