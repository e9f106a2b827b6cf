import { describe, expect, test } from "vitest";
import { Conversation } from "../conversation.ts";
import { Keeper } from "../keeper.ts";
import { TransportError } from "../transport.ts";
import { atOnce, COMPLETE, Scripted, Session, turn } from "./scripted.ts";

function chat(session = new Session(), gateway = new Scripted()) {
  let ids = 0;
  const clock = { newId: () => `id${session.length}${ids++}`, frames: atOnce };
  const conversation = new Conversation(gateway, new Keeper(session, "chat"), clock);
  return { session, gateway, conversation };
}

describe("an exchange", () => {
  test("keeps text and place together at every step", async () => {
    const { session, gateway, conversation } = chat();
    const exchange = conversation.ask("Hello");
    const reader = await gateway.reader();
    reader.say({ kind: "notice", id: "0-0", text: "Waiting" });
    expect(session.exchange(exchange.id)).toMatchObject({ phase: "waiting", after: "0-0" });
    reader.text("1-3", "one ").text("1-4", "two ");
    conversation.save();
    expect(session.exchange(exchange.id)).toMatchObject({ text: "one two ", after: "1-4" });
    reader.complete("1-6", "one two ");
    expect(session.exchange(exchange.id)).toMatchObject({
      phase: "done",
      text: "one two ",
      accepted: null,
      facts: COMPLETE,
    });
  });

  test("goes on after a reload where it was", async () => {
    const before = chat();
    before.conversation.ask("Hello");
    (await before.gateway.reader()).text("1-3", "one ");
    before.conversation.leave();
    const after = chat(before.session);
    const [exchange] = after.conversation.getExchanges();
    expect([exchange?.open, exchange?.text.received]).toEqual([true, "one "]);
    after.conversation.resume();
    const reader = await after.gateway.reader();
    expect(reader.reading.after).toBe("1-3");
    reader.text("1-4", "two").complete("1-6", "one two");
    expect([exchange?.text.received, after.gateway.asked]).toEqual(["one two", []]);
  });

  test("that was never accepted says so after a reload", () => {
    const before = chat();
    before.conversation.ask("Hello");
    before.conversation.leave();
    const [exchange] = chat(before.session).conversation.getExchanges();
    expect(exchange?.view).toMatchObject({ phase: "failed", problem: { code: "INTERRUPTED" } });
  });

  test("forgets what an attempt said that was lost", async () => {
    const { gateway, conversation } = chat();
    const exchange = conversation.ask("Hello");
    const reader = await gateway.reader();
    const action = { id: "a", name: "act", arguments: {} };
    reader.text("1-3", "lost").say({ kind: "action", id: "1-4", action });
    reader.say({ kind: "restart", id: "2-0" }).text("2-3", "kept").complete("2-5", "kept");
    expect([exchange.text.received, exchange.view.actions]).toEqual(["kept", []]);
  });

  test("stops at once, and at the gateway too", async () => {
    const { gateway, conversation } = chat();
    const exchange = conversation.ask("Hello");
    const reader = await gateway.reader();
    reader.text("1-3", "half");
    exchange.stop();
    await turn();
    reader.text("1-4", " a word");
    expect([exchange.view.phase, exchange.text.received]).toEqual(["stopped", "half"]);
    expect([gateway.cancelled, conversation.open]).toEqual([["job-1"], null]);
  });

  test("whose line was lost for long can be read on", async () => {
    const { gateway, conversation } = chat();
    const exchange = conversation.ask("Hello");
    const first = await gateway.reader();
    first.text("1-3", "one ").fail("NETWORK", true);
    await turn();
    expect(exchange.view).toMatchObject({ phase: "failed", problem: { resumable: true } });
    void exchange.goOn();
    const second = await gateway.reader();
    expect(second.reading.after).toBe("1-3");
    second.text("1-4", "two").complete("1-5", "one two");
    expect([exchange.view.phase, exchange.view.problem]).toEqual(["done", null]);
  });

  test("that is refused says why, and may be tried again", async () => {
    const { gateway, conversation } = chat();
    const problem = { code: "LIMITED", message: "Wait.", retryable: true, resumable: false };
    gateway.refuse = new TransportError(problem);
    const exchange = conversation.ask("Hello");
    await turn();
    expect(exchange.view).toMatchObject({ phase: "failed", problem });
    gateway.refuse = null;
    conversation.retry(exchange);
    (await gateway.reader()).text("1-3", "yes").complete("1-4", "yes");
    expect([exchange.view.phase, exchange.text.received]).toEqual(["done", "yes"]);
  });

  test("shows a lost line only while it is lost", async () => {
    const { gateway, conversation } = chat();
    const exchange = conversation.ask("Hello");
    const { reading } = await gateway.reader();
    reading.onLine(false);
    expect(exchange.view.lineLost).toBe(true);
    reading.onLine(true);
    expect(exchange.view.lineLost).toBe(false);
  });
});

describe("a conversation", () => {
  test("sends along what was said, as far as there is room", async () => {
    const { gateway, conversation } = chat();
    for (const [prompt, answer] of [
      ["a".repeat(9_000), "A"],
      ["b".repeat(4_000), "B"],
      ["c", "C"],
    ]) {
      conversation.ask(prompt ?? "");
      (await gateway.reader()).text("1-3", answer ?? "").complete("1-4", answer ?? "");
    }
    conversation.ask("d");
    const before = gateway.asked.at(-1)?.before;
    expect(before?.map(({ assistant }) => assistant)).toEqual(["B", "C"]);
  });

  test("that is cleared leaves nothing, and stops what is on its way", async () => {
    const { session, gateway, conversation } = chat();
    conversation.ask("Hello");
    await gateway.reader();
    conversation.clear();
    expect([session.length, gateway.cancelled, conversation.getExchanges()]).toEqual([
      0,
      ["job-1"],
      [],
    ]);
  });

  test("in a full session lets the oldest go first", async () => {
    const session = new Session();
    const { gateway, conversation } = chat(session);
    for (const answer of ["first ".repeat(200), "second ".repeat(200)]) {
      conversation.ask("Hello");
      (await gateway.reader()).text("1-3", answer).complete("1-4", answer);
    }
    session.room = 2_500;
    conversation.ask("Hello");
    const third = "third ".repeat(200);
    (await gateway.reader()).text("1-3", third).complete("1-4", third);
    const texts = conversation.getExchanges().map(({ id }) => session.exchange(id)?.text ?? null);
    expect([texts[0], texts[2]]).toEqual([null, third]);
  });

  test("reads nothing into what it cannot read", () => {
    const session = new Session();
    session.setItem("chat", '["a","b","c"]');
    session.setItem("chat:a", "{");
    session.setItem("chat:b", '{"id":"b"}');
    expect(chat(session).conversation.getExchanges()).toEqual([]);
    session.setItem("chat", "17");
    expect(chat(session).conversation.getExchanges()).toEqual([]);
  });

  test("without a session to keep it in works all the same", async () => {
    const gateway = new Scripted();
    const clock = { newId: () => "x", frames: atOnce };
    const conversation = new Conversation(gateway, new Keeper(null, "chat"), clock);
    const exchange = conversation.ask("Hello");
    (await gateway.reader()).text("1-3", "yes").complete("1-4", "yes");
    expect(exchange.view.phase).toBe("done");
  });
});
