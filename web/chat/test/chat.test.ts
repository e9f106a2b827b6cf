/** The chat in Chromium, of a gateway that runs. */

import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { launchChromium } from "../../test/chromium.ts";
import { Gateway } from "../../test/gateway.ts";
import { Reader, words } from "./reader.ts";

const SLOW = "simulator/echo?first=0&gap=0.02";
const QUICK = "simulator/echo?first=0&gap=0.001";
let browser: Browser;
let gateway: Gateway;

beforeAll(async () => {
  [browser, gateway] = await Promise.all([
    launchChromium(),
    Gateway.start({ environ: { ANONYMOUS_APP: "shop" } }),
  ]);
});

afterAll(async () => {
  await browser?.close();
  await gateway?.close();
});

async function visit(): Promise<Reader> {
  const reader = await Reader.at(browser, gateway, "/chat");
  onTestFinished(() => reader.leave());
  return reader;
}

const jobOf = (reader: Reader) =>
  reader.page.locator(".answer").last().getAttribute("data-request-id");

async function stateOf(id: string | null): Promise<string> {
  const response = await fetch(`${gateway.origin}/assistant/request/${id}`);
  return ((await response.json()) as { status: string }).status;
}

test("an answer streams, and what was said goes along with the next question", async () => {
  const reader = await visit();
  await reader.ask(words(300), SLOW);
  await reader.until("writing");
  await reader.page.getByRole("button", { name: "Stop" }).waitFor();
  await reader.until("done");
  expect(await reader.answer()).toBe(words(300));
  expect(await reader.page.locator(".answer .markdown").textContent()).toBe(words(300));

  const asked = reader.page.waitForRequest("**/assistant/request");
  await reader.ask("And then?", QUICK);
  const body = (await asked).postDataJSON();
  expect(body).toMatchObject({
    prompt: "And then?",
    context: { conversation: [{ user: words(300), assistant: words(300) }] },
  });
  await reader.until("done");
  expect(await reader.answer()).toBe("And then?");
});

test("an answer that is stopped is stopped at the gateway too, and keeps what it had", async () => {
  const reader = await visit();
  await reader.ask(words(2000), SLOW);
  await reader.sees(40);
  await reader.page.keyboard.press("Escape");
  await reader.until("stopped");
  const kept = await reader.answer();
  expect(words(2000).startsWith(kept)).toBe(true);
  const id = await jobOf(reader);
  await expect.poll(() => stateOf(id)).toBe("cancelled");

  await reader.page.reload();
  await reader.until("stopped");
  expect(await reader.answer()).toBe(kept);
});

test("a question that is stopped before it was accepted is stopped all the same", async () => {
  const reader = await visit();
  let id = "";
  await reader.page.route("**/assistant/request", async (route) => {
    const response = await route.fetch();
    id = (await response.json()).request_id;
    await reader.page.getByRole("button", { name: "Stop" }).click();
    await route.fulfill({ response });
  });
  await reader.ask(words(2000), SLOW);
  await reader.until("stopped");
  await expect.poll(() => id && stateOf(id)).toBe("cancelled");
});

test("a reload in mid-answer goes on at the exact character", async () => {
  const reader = await visit();
  await reader.ask(words(300), SLOW);
  for (const length of [100, 600, 1200]) {
    await reader.sees(length);
    await reader.page.reload();
  }
  await reader.until("done");
  expect(await reader.answer()).toBe(words(300));
  expect(await reader.page.locator(".answer .markdown").textContent()).toBe(words(300));
  const kept = await reader.page.evaluate(() => JSON.stringify({ ...sessionStorage }));
  expect(kept).not.toContain("access_token");
});

test("a gateway that is killed in mid-answer is waited for, and what it lost can be asked again", async () => {
  const own = await Gateway.start({ environ: { ANONYMOUS_APP: "shop" } });
  onTestFinished(() => own.close());
  const reader = await Reader.at(browser, own, "/chat");
  onTestFinished(() => reader.leave());
  await reader.ask(words(400), SLOW);
  await reader.sees(200);
  await own.end("SIGKILL");
  await reader.page.getByText("Reconnecting. The answer goes on where it was.").waitFor();
  const shown = (await reader.answer()).length;
  await own.run();
  await reader.until("failed");
  await reader.page.getByText("The gateway was stopped.").waitFor();
  expect((await reader.answer()).length).toBeGreaterThanOrEqual(shown);
  await reader.page.getByRole("button", { name: "Try again" }).click();
  await reader.until("done");
  expect(await reader.answer()).toBe(words(400));
});

test("a question that waited while the gateway was away is answered when it is back", async () => {
  const own = await Gateway.start({ environ: { ANONYMOUS_APP: "shop" } });
  onTestFinished(() => own.close());
  const reader = await Reader.at(browser, own, "/chat");
  onTestFinished(() => reader.leave());
  await own.end("SIGKILL");
  await reader.ask("Are you there?", QUICK);
  await reader.page.getByText("The gateway does not answer. Trying again.").waitFor();
  await own.run();
  await reader.until("done");
  expect(await reader.answer()).toBe("Are you there?");
});

test("ten tabs stream at the same time", async () => {
  const context = await browser.newContext();
  const tabs: Reader[] = [];
  onTestFinished(async () => {
    for (const tab of tabs) expect(tab.complaints).toEqual([]);
    await context.close();
  });
  for (let i = 0; i < 10; i += 1) tabs.push(await Reader.at(context, gateway, "/chat"));
  // Longer than anybody waits here: if one waited for another's end, it would never see a word.
  for (const tab of tabs) await tab.ask(words(4000), SLOW);
  await Promise.all(tabs.map((tab) => tab.sees(60)));
  await Promise.all(tabs.map((tab) => tab.page.getByRole("button", { name: "Stop" }).click()));
  await Promise.all(tabs.map((tab) => tab.until("stopped")));
});

test("nothing that an answer says becomes markup, a request or a script", async () => {
  const reader = await visit();
  const hostile = [
    "<script>alert(1)</script><img src=x onerror=alert(2)>",
    "<style>body{display:none}</style>",
    "![pixel](https://evil.example/x.png) ![data](data:image/svg+xml;base64,AAAA)",
    "[a](javascript:alert(3)) [b](JaVaScRiPt:alert(4)) [c](data:text/html,x) [d](vbscript:x)",
    "[fine](https://example.org/) <https://example.org/auto> <javascript:alert(5)>",
    "```html\n<script>alert(6)</script>\n```",
  ].join("\n\n");
  await reader.ask(hostile, QUICK);
  await reader.until("done");
  const answer = reader.page.locator(".answer .markdown");
  const seen = await answer.evaluate((element) => ({
    tags: [...new Set([...element.querySelectorAll("*")].map(({ tagName }) => tagName))].sort(),
    links: [...element.querySelectorAll("a")].map((a) => [a.href, a.rel, a.target]),
  }));
  expect(seen.tags.filter((tag) => /SCRIPT|IMG|STYLE|IFRAME|OBJECT/.test(tag))).toEqual([]);
  const strange = ["noopener noreferrer nofollow", "_blank"];
  expect(seen.links).toEqual([
    ["https://evil.example/x.png", ...strange],
    ["https://example.org/", ...strange],
    ["https://example.org/auto", ...strange],
  ]);
  expect(await answer.textContent()).toContain("<script>alert(1)</script>");
  await answer.getByRole("link", { name: "fine" }).hover();
});

test("text is set from the right where it is written so, in the question too", async () => {
  const reader = await visit();
  const text = "שלום עולם, זה טקסט.\n\nAnd this is English.";
  await reader.ask(text, QUICK);
  await reader.until("done");
  const directions = await reader.page
    .locator(".answer .markdown p")
    .evaluateAll((all) => all.map((each) => getComputedStyle(each).direction));
  expect(directions).toEqual(["rtl", "ltr"]);
  const said = reader.page.locator(".said p");
  expect(await said.evaluate((each) => getComputedStyle(each).direction)).toBe("rtl");
});

test("a list, a quotation and a table that are written from the right have their marks there", async () => {
  const reader = await visit();
  const text = "- שלום עולם\n\n- English.\n\n> שלום\n\n| אחד | two |\n|---|---|\n| שלוש | four |\n";
  await reader.ask(text, QUICK);
  await reader.until("done");
  const directions = await reader.page
    .locator(".answer .markdown :is(ul, li, blockquote, table)")
    .evaluateAll((all) => all.map((e) => [e.tagName, getComputedStyle(e).direction]));
  const all = ["UL", "LI", "LI", "BLOCKQUOTE", "TABLE"].map((name) => [name, "rtl"]);
  expect(directions).toEqual(all);
});

test("a question that was refused offers to ask again, and nothing to read on", async () => {
  const app = { rate_limit: "1/hour" };
  const strict = await Gateway.start({ app, environ: { ANONYMOUS_APP: "shop" } });
  onTestFinished(() => strict.close());
  const reader = await Reader.at(browser, strict, "/chat");
  onTestFinished(() => reader.leave());
  await reader.ask("One", QUICK);
  await reader.until("done");
  await reader.ask("Two", QUICK);
  const alert = reader.page.getByRole("alert");
  await alert.getByText("The limit of 1/hour is reached.").waitFor();
  expect(await alert.getByRole("button").allTextContents()).toEqual(["Try again"]);
});

test("a reader who scrolls up is left there, and comes back with one click", async () => {
  const reader = await visit();
  await reader.ask(words(1500).replaceAll(/(word\d*0) /g, "$1\n\n"), SLOW);
  const scroller = reader.page.getByRole("log");
  const place = () =>
    scroller.evaluate((el) => ({
      top: el.scrollTop,
      left: el.scrollHeight - el.clientHeight - el.scrollTop,
    }));
  await expect.poll(async () => (await place()).top).toBeGreaterThan(300);
  expect((await place()).left).toBeLessThan(40);
  await scroller.hover();
  await reader.page.mouse.wheel(0, -200);
  const latest = reader.page.getByRole("button", { name: "Latest" });
  await latest.waitFor();
  const { top } = await place();
  await expect.poll(async () => (await place()).left).toBeGreaterThan(400);
  expect(Math.abs((await place()).top - top)).toBeLessThan(2);
  await latest.click();
  await expect.poll(async () => (await place()).left).toBeLessThan(40);
  // A line is enough to be left there, and the key is as good as the click.
  await scroller.focus();
  await reader.page.keyboard.press("ArrowUp");
  await latest.waitFor();
  await expect.poll(async () => (await place()).left).toBeGreaterThan(100);
  await reader.page.keyboard.press("End");
  await expect.poll(async () => (await place()).left).toBeLessThan(40);
  expect(await latest.count()).toBe(0);
  // The page itself is no longer than the window.
  expect(await reader.page.evaluate(() => document.documentElement.scrollHeight)).toBe(800);
  await reader.page.getByRole("button", { name: "Stop" }).click();
});

test("the keyboard does all of it, and who listens is told in two sentences", async () => {
  const reader = await visit();
  const { page } = reader;
  const heard: string[] = [];
  await page.exposeFunction("hear", (text: string) => heard.push(text));
  await page.evaluate(() => {
    new MutationObserver(() => {
      const said = document.querySelector(".chat > [role=status]")?.textContent;
      if (said) (window as unknown as { hear(text: string): void }).hear(said);
    }).observe(document.body, { subtree: true, childList: true, characterData: true });
  });
  await page.getByLabel("Model").fill(SLOW);
  await page.getByLabel("Your question").focus();
  await page.keyboard.type("one two three");
  await page.keyboard.press("Shift+Enter");
  await page.keyboard.type("four");
  await page.keyboard.press("Enter");
  await reader.until("done");
  expect(await reader.answer()).toBe("one two three\nfour");
  expect(await page.evaluate(() => document.activeElement?.getAttribute("name"))).toBe("prompt");
  await expect
    .poll(() => [...new Set(heard)])
    .toEqual(["An answer is being written.", "The answer is complete."]);
  await page.keyboard.press("Shift+Tab");
  await page.keyboard.press("Shift+Tab");
  expect(await page.evaluate(() => document.activeElement?.textContent)).toBe("Copy");
});

test.each([1440, 320])("at %i pixels nothing is wider than the window", async (width) => {
  for (const colorScheme of ["light", "dark"] as const) {
    const viewport = { width, height: 760 };
    const reader = await Reader.at(browser, gateway, "/chat", { viewport, colorScheme });
    await reader.ask("Show me", "simulator/markdown?first=0&gap=0");
    await reader.until("done");
    const wide = await reader.page.evaluate(() => document.documentElement.scrollWidth);
    expect(wide).toBeLessThanOrEqual(width);
    await reader.leave();
  }
});
