// The client as one file of modern JavaScript, for browsers and Node alike.

import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  root: here("."),
  publicDir: false,
  build: {
    outDir: here("dist"),
    emptyOutDir: true,
    target: "es2022",
    modulePreload: false,
    rolldownOptions: {
      input: here("src/index.ts"),
      preserveEntrySignatures: "strict",
      output: { entryFileNames: "index.js", minify: true },
    },
  },
});
