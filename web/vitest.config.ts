import { fileURLToPath } from "node:url";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  root: here("."),
  plugins: [react()],
  resolve: { alias: { "ai-streaming-gateway-client": here("client/src/index.ts") } },
  test: {
    include: ["**/*.test.{ts,tsx}"],
    // Some start a gateway and a browser, on machines with two cores.
    testTimeout: 180_000,
    hookTimeout: 180_000,
    // What is waited for comes when it comes.
    expect: { poll: { timeout: 60_000 } },
    maxWorkers: 2,
  },
});
