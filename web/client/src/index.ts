export { EventDecoder } from "./decoder.ts";
