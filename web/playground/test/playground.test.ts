/** The playground in Chromium, of a gateway that runs. */

import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { Reader, words } from "../../chat/test/reader.ts";
import { launchChromium } from "../../test/chromium.ts";
import { CODE, Gateway } from "../../test/gateway.ts";

const SLOW = "simulator/echo?first=0&gap=0.02";
const QUICK = "simulator/echo?first=0&gap=0.001";
const PATH = /^20\d{6}T\d{6}Z-/;

let browser: Browser;
let gateway: Gateway;

beforeAll(async () => {
  const CALLBACK_ALLOWED_ORIGINS = "http://127.0.0.1:9";
  [browser, gateway] = await Promise.all([
    launchChromium(),
    Gateway.start({ environ: { ANONYMOUS_APP: "shop", CALLBACK_ALLOWED_ORIGINS } }),
  ]);
});

afterAll(async () => {
  await browser?.close();
  await gateway?.close();
});

async function visit(path = "/", where: Browser | BrowserContext = browser): Promise<Page> {
  const reader = await Reader.at(where, gateway, path);
  onTestFinished(() => reader.leave());
  return reader.page;
}

async function ask(page: Page, door: string, prompt: string, model: string): Promise<void> {
  await page.getByRole("radio", { name: door, exact: true }).check({ force: true });
  await page.locator("[name=prompt]").fill(prompt);
  await page.locator("[name=model]").fill(model);
  if (door === "n8n stream") {
    await page.getByLabel("Callback").fill("http://127.0.0.1:9/callback/{random}");
  }
  if (door === "Job queue") await page.getByLabel("Request type").fill("ask");
  await page.getByRole("button", { name: /^Ask/ }).click();
}

const text = (page: Page) => page.locator(".pane-body").first().textContent();
const wire = (page: Page) => page.getByRole("region", { name: "On the wire" });
const phase = (page: Page, name: string) =>
  page.locator(`.run-state[data-phase=${name}]`).waitFor();
const sees = (page: Page, word: string) =>
  page.locator(".pane-body").first().getByText(word).waitFor();

test.each(["Assistant", "Chat", "n8n stream", "Ask", "OpenAI"])(
  "an answer of the door %s is whole, though its line was cut twice",
  async (door) => {
    const page = await visit();
    await ask(page, door, words(300), SLOW);
    for (const word of ["word20", "word60"]) {
      await sees(page, word);
      await page.getByRole("button", { name: "Cut the connection" }).click();
    }
    await phase(page, "done");
    await expect.poll(() => text(page)).toBe(words(300));
    await page.getByText("3 connections").waitFor();
    expect(await wire(page).getByText("The connection was cut here.").count()).toBeLessThanOrEqual(
      2,
    );
  },
);

test("the job queue's answer is polled, and every answer of the poll is shown", async () => {
  const page = await visit();
  await ask(page, "Job queue", words(20), SLOW);
  await phase(page, "done");
  expect(await text(page)).toBe(words(20));
  await wire(page).getByText("POST /ai_request").waitFor();
  await wire(page).getByText('"ai_response"').waitFor();
});

test("one job is read in two tabs, the second after a click only", async () => {
  const first = await visit();
  await ask(first, "Chat", words(400), SLOW);
  await sees(first, "word20");
  const link = first.getByRole("link", { name: "Open in another tab" });
  const opened = first.context().waitForEvent("page");
  await link.click();
  const second = await opened;
  const asked: string[] = [];
  second.on("request", (request) => asked.push(new URL(request.url()).pathname));
  await second.getByText("The address names a job").waitFor();
  expect(asked.filter((path) => /stream|request/.test(path))).toEqual([]);
  await second.getByRole("button", { name: "Read it" }).click();
  await sees(second, "word20");
  for (const page of [first, second]) {
    await phase(page, "done");
    await expect.poll(() => text(page)).toBe(words(400));
  }
});

test("a reload in mid-answer reads the same job to its end", async () => {
  const page = await visit();
  await ask(page, "Assistant", words(200), SLOW);
  await sees(page, "word20");
  const id = await page.locator(".run-job code").textContent();
  expect(id).toMatch(PATH);
  await page.reload();
  await phase(page, "done");
  await expect.poll(() => text(page)).toBe(words(200));
  expect(await page.locator(".run-job code").textContent()).toBe(id);
});

test("what is stopped here is stopped at the gateway", async () => {
  const page = await visit();
  await ask(page, "Assistant", words(2000), SLOW);
  await sees(page, "word20");
  const id = await page.locator(".run-job code").textContent();
  await page.getByRole("button", { name: "Stop", exact: true }).click();
  await phase(page, "stopped");
  await expect
    .poll(async () => {
      const response = await fetch(`${gateway.origin}/assistant/request/${id}`);
      return ((await response.json()) as { status: string }).status;
    })
    .toBe("cancelled");
});

test("the wire is followed to its last event, also where its first are no longer shown", async () => {
  const page = await visit();
  await ask(page, "Assistant", words(400), SLOW);
  await phase(page, "done");
  const pane = wire(page).locator(".pane-body");
  await pane.getByText(/^complete$/).waitFor();
  const left = () => pane.evaluate((e) => e.scrollHeight - e.clientHeight - e.scrollTop);
  await expect.poll(left).toBeLessThan(2);
  expect(await pane.getByText("before these").count()).toBe(1);
});

test("a refusal is told in the gateway's own words", async () => {
  const page = await visit();
  await ask(page, "OpenAI", "Hello", "no-such-model");
  await phase(page, "failed");
  await page.getByRole("alert").getByText("no-such-model").waitFor();
});

test("an address that is no job's, or no web address, is nothing", async () => {
  const page = await visit("/#job=%3Cscript%3E&resumeUrl=javascript:alert(1)");
  await page.getByRole("button", { name: /^Ask/ }).waitFor();
  expect(await page.getByText("The address names a job").count()).toBe(0);
  await page.getByRole("radio", { name: "n8n stream" }).check({ force: true });
  expect(await page.getByLabel("Callback").inputValue()).toBe("");
});

test("an app code is typed in once, stays in the tab, and stands in no code to copy", async () => {
  const strict = await Gateway.start();
  onTestFinished(() => strict.close());
  const reader = await Reader.at(browser, strict, "/");
  onTestFinished(() => reader.leave());
  const { page } = reader;
  await page.getByText("This gateway asks for an app code.").waitFor();
  await page.getByLabel("App code").fill("wrong");
  await page.getByRole("button", { name: "Use it" }).click();
  await page.getByText("The gateway does not know this app code.").waitFor();
  expect(await page.getByLabel("App code").inputValue()).toBe("wrong");
  await page.getByLabel("App code").fill(CODE);
  await page.getByRole("button", { name: "Use it" }).click();
  await page.getByText("Using your app code.").waitFor();
  await ask(page, "OpenAI", "Hello there", QUICK);
  await phase(page, "done");
  await expect.poll(() => text(page)).toBe("Hello there");
  expect(await page.locator("body").textContent()).not.toContain(CODE);
  expect(await page.evaluate(() => JSON.stringify({ ...localStorage }))).not.toContain(CODE);
  await page.getByRole("button", { name: "Forget it" }).click();
  await page.getByText("This gateway asks for an app code.").waitFor();
  expect(await page.evaluate(() => JSON.stringify({ ...sessionStorage }))).not.toContain(CODE);
});

test.each([1440, 320])("at %i pixels nothing is wider than the window", async (width) => {
  const viewport = { width, height: 760 };
  const reader = await Reader.at(browser, gateway, "/", { viewport });
  onTestFinished(() => reader.leave());
  const { page } = reader;
  for (const door of ["Assistant", "Chat", "n8n stream", "Ask", "OpenAI", "Job queue"]) {
    await ask(page, door, "Show me", "simulator/markdown?first=0&gap=0");
    await phase(page, "done");
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    expect(wide).toBeLessThanOrEqual(width);
  }
});
