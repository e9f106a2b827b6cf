import { expect, test } from "vitest";
import { Chance } from "../../test/chance.ts";
import { EventDecoder, type ServerEvent } from "../src/decoder.ts";

const utf8 = new TextEncoder();

function decoded(chunks: Iterable<Uint8Array>, decoder = new EventDecoder()): ServerEvent[] {
  return [...chunks].flatMap((chunk) => decoder.feed(chunk));
}

const read = (text: string) => decoded([utf8.encode(text)]);

test("Each field means what the standard says.", () => {
  expect(read("event: a\nid: 1\ndata: x\n\n")).toEqual([{ event: "a", id: "1", data: "x" }]);
  expect(read("data:x\ndata\ndata:  y\n\n")).toEqual([
    { event: "message", id: "", data: "x\n\n y" },
  ]);
  expect(read(": a comment\nnonsense: 1\nevent: a\n\n")).toEqual([]);
  expect(read("id: 1\n\ndata: x\n\n")).toEqual([{ event: "message", id: "1", data: "x" }]);
  expect(read("id: 1\nid: a\0b\ndata\n\n")).toEqual([{ event: "message", id: "1", data: "" }]);
  expect(read("data: a:b\n\n")).toEqual([{ event: "message", id: "", data: "a:b" }]);
  expect(read("\ufeffdata: x\n\n")).toEqual([{ event: "message", id: "", data: "x" }]);
});

test("An id counts only with the blank line that ends its event.", () => {
  const decoder = new EventDecoder("1-1");
  decoder.feed(utf8.encode("id: 1-2\ndata: x\n"));
  expect(decoder.lastId).toBe("1-1");
  decoder.feed(utf8.encode("\n"));
  expect(decoder.lastId).toBe("1-2");
});

test("The pause is a number or nothing.", () => {
  const decoder = new EventDecoder();
  decoder.feed(utf8.encode("retry: 1500\nretry: soon\nretry:\n"));
  expect(decoder.retry).toBe(1500);
});

test("An event ends with its line, whatever may follow a CR.", () => {
  const decoder = new EventDecoder();
  expect(decoder.feed(utf8.encode("data: x\r\r"))).toHaveLength(1);
  expect(decoder.feed(utf8.encode("\ndata: y\r\n\r"))).toHaveLength(1);
  expect(decoder.feed(utf8.encode("\ndata: z\n\n"))).toEqual([
    { event: "message", id: "", data: "z" },
  ]);
});

test("Events are the same, wherever their bytes are cut.", () => {
  const chance = new Chance();
  for (let round = 0; round < 300; round++) {
    const texts = ["naïve 漢字 🙂", "a:b", "", " x", "{}", "👩‍👩‍👧‍👦".repeat(20)];
    let stream = chance.below(2) ? "\ufeff" : "";
    for (let at = 0; at < 20; at++) {
      const end = () => chance.pick(["\r", "\n", "\r\n"]);
      const lines = [`id: 1-${at}`, `event: ${chance.pick(["a", "ü"])}`, ":", "retry: 1"];
      for (const line of lines) if (chance.below(2)) stream += line + end();
      for (let n = chance.below(3); n >= 0; n--) stream += `data: ${chance.pick(texts)}${end()}`;
      stream += end() + chance.pick(["", end()]);
    }
    const bytes = utf8.encode(stream);
    const want = decoded([bytes]);
    expect(decoded(chance.cuts(bytes, 1))).toEqual(want);
    expect(decoded(chance.cuts(bytes, 40))).toEqual(want);
  }
});

test("A large event costs as much as its bytes, however small the pieces.", () => {
  const chance = new Chance();
  const data = "x".repeat(16_000_000);
  const begun = performance.now();
  const [event] = decoded(chance.cuts(utf8.encode(`data: ${data}\n\n`), 2_000));
  expect(event?.data.length).toBe(data.length);
  // It takes a second; to search all that came before with every piece takes minutes.
  expect(performance.now() - begun).toBeLessThan(30_000);
});
