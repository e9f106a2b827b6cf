// Prints what the client weighs on the wire, and fails where that is too much.

import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const MOST = 5000;
const bytes = readFileSync(new URL("dist/index.js", import.meta.url));
const size = gzipSync(bytes, { level: 9 }).length;
console.log(`client: ${size} bytes gzipped (${bytes.length} plain), of ${MOST} at most`);
if (size >= MOST) process.exit(1);
