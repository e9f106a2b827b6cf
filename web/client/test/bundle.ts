/** The client as it is published: one file. */

import { fileURLToPath } from "node:url";
import { build, type Rolldown } from "vite";

export async function bundle(): Promise<string> {
  const configFile = fileURLToPath(new URL("../vite.config.ts", import.meta.url));
  const built = await build({ configFile, logLevel: "warn", build: { write: false } });
  return (built as Rolldown.RolldownOutput).output[0].code;
}
