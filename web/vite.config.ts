// The pages of the gateway, into gateway/static, which is committed: the same sources must
// always make the same files.

import { copyFileSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const STATIC = here("../gateway/static");

/** The client as one file for pages without a bundler: `import … from "<gateway>/static/client.js"`. */
const client: Plugin = {
  name: "gateway-client",
  closeBundle: () => copyFileSync(here("client/dist/index.js"), `${STATIC}/client.js`),
};

/** What stands in the head of every page, before its title. */
const head: Plugin = {
  name: "gateway-head",
  transformIndexHtml: {
    order: "pre",
    handler(html) {
      const shared = readFileSync(here("theme/head.html"), "utf8").replaceAll("\n", "\n    ");
      return html.replace("<title>", `${shared}<title>`);
    },
  },
};

export default defineConfig({
  root: here("."),
  plugins: [react(), head, client],
  resolve: { alias: { "ai-streaming-gateway-client": here("client/src/index.ts") } },
  experimental: {
    // A page stands beside `static/`, wherever a proxy puts the gateway: no path may be absolute.
    renderBuiltUrl: (file, { hostType }) =>
      hostType === "html" ? `static/${file}` : { relative: true },
  },
  build: {
    outDir: STATIC,
    emptyOutDir: true,
    target: "es2022",
    // The polyfill is for browsers that cannot run the rest either.
    modulePreload: { polyfill: false },
    // A data: URL would need room in the Content-Security-Policy.
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 2000,
    // Those who wrote what is in the pages ask to be named beside it.
    license: { fileName: "licences.txt" },
    rolldownOptions: {
      input: {
        playground: here("playground/index.html"),
        chat: here("chat/index.html"),
        dashboard: here("dashboard/index.html"),
        docs: here("docs/index.html"),
      },
      output: {
        // All pages share it, and it seldom changes.
        codeSplitting: {
          groups: [{ name: "react", test: /node_modules\/(react|react-dom|scheduler)\// }],
        },
      },
    },
  },
});
