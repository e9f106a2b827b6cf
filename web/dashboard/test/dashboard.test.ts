/** The dashboard in Chromium, of a gateway that runs. */

import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { launchChromium } from "../../test/chromium.ts";
import { ADMIN_CODE, CODE, Gateway } from "../../test/gateway.ts";
import { ask, ended, Operator, Provider, Receiver } from "./operator.ts";

const SLOW = "simulator/lorem?tokens=400&gap=0.05";
const HOSTILE = `<script>alert(1)</script><img src=x onerror="alert(2)"> "quoted" ${"&amp;"} ‮txet`;

let browser: Browser;
let gateway: Gateway;
let receiver: Receiver;
let provider: Provider;

beforeAll(async () => {
  [receiver, provider] = await Promise.all([Receiver.start(), Provider.start()]);
  [browser, gateway] = await Promise.all([
    launchChromium(),
    Gateway.start({
      environ: {
        CALLBACK_ALLOWED_ORIGINS: receiver.origin,
        LOCAL_ADMIN: "false",
        WORKERS: "2",
        OPENAI_API_KEY: "any-word",
        OPENAI_BASE_URL: provider.origin,
      },
    }),
  ]);
});

afterAll(async () => {
  await browser?.close();
  await gateway?.close();
  await receiver?.close();
  await provider?.close();
});

async function signedIn(place = ""): Promise<Operator> {
  const operator = await Operator.at(browser, gateway);
  onTestFinished(() => operator.leave());
  await operator.go(place);
  await operator.signIn(ADMIN_CODE);
  await operator.sees(/^Live/);
  return operator;
}

test("who brings a wrong code is told so, and one of another app what to set", async () => {
  const operator = await Operator.at(browser, gateway);
  onTestFinished(() => operator.leave());
  await operator.go();
  await operator.sees("asks for the code of an app");
  await operator.signIn("wrong");
  await operator.sees("Nobody has this code.");
  await operator.signIn(CODE);
  await operator.sees("This app may not.");
  await operator.sees("app add Operators --admin");
  await operator.signIn(ADMIN_CODE);
  await operator.sees(/^Live/);

  await operator.page.reload();
  await operator.sees(/^Live/);
  await operator.page.getByRole("button", { name: "Sign out" }).click();
  await operator.sees("asks for the code of an app");
  expect(await operator.page.evaluate(() => sessionStorage.length)).toBe(0);
});

test("the history fills while one looks, and is searched and narrowed", async () => {
  const operator = await signedIn("#/requests");
  const { page } = operator;
  const rows = page.locator("table.list tbody tr");
  await ended(gateway, await ask(gateway, "Why is the sky blue?"));
  await ended(gateway, await ask(gateway, "Fail, please", { model: "simulator/echo?status=400" }));
  await operator.sees("Why is the sky blue?");
  await operator.sees("Fail, please");

  await page.getByLabel("Search").fill("the SKY");
  await expect.poll(() => rows.count()).toBe(1);
  expect(new URL(page.url()).hash).toBe("#/requests?q=the+SKY");
  await page.getByLabel("Search").fill("");
  await page.getByLabel("State").selectOption("error");
  await expect.poll(() => rows.count()).toBe(1);
  await operator.sees("Fail, please");
  await page.goBack();
  await page.goBack();
  await expect.poll(() => page.getByLabel("Search").inputValue()).toBe("the SKY");
  await page.getByLabel("Search").fill("nobody asked this");
  await operator.sees("No request is like that.");
  await page.getByRole("link", { name: "Show all" }).click();
  await expect.poll(() => rows.count()).toBeGreaterThan(1);
});

test("the history goes back page by page", async () => {
  const ids = [];
  for (let nth = 0; nth < 55; nth++) ids.push(await ask(gateway, `paged ${nth}`, { priority: 9 }));
  for (const id of ids) await ended(gateway, id);
  const operator = await signedIn("#/requests?q=paged");
  const rows = operator.page.locator("table.list tbody tr");
  await expect.poll(() => rows.count()).toBe(50);
  await operator.page.getByRole("button", { name: "Show older" }).click();
  await expect.poll(() => rows.count()).toBe(55);
  const texts = await rows.locator(".prompt").allTextContents();
  expect(texts).toEqual(ids.map((_, nth) => `paged ${nth}`).reverse());
  await operator.sees("That is all.");

  // A click anywhere in a row opens its request; who comes back finds the list as it was left.
  const place = () => operator.page.evaluate(() => [scrollY, document.activeElement?.tagName]);
  await rows.last().scrollIntoViewIfNeeded();
  const [left] = await place();
  await rows.last().getByText("ai_request").click({ force: true });
  await operator.sees("What happened");
  expect(await place()).toEqual([0, "MAIN"]);
  await operator.page.goBack();
  await expect.poll(() => rows.count()).toBe(55);
  expect((await place())[0]).toBe(left);
  await rows.first().click({ force: true });
  await operator.page.getByRole("link", { name: "All requests" }).click();
  await expect.poll(() => rows.count()).toBe(55);
  expect(new URL(operator.page.url()).hash).toBe("#/requests?q=paged");
});

test("a request's page plays its log, and text that would be markup stays text", async () => {
  const id = await ask(gateway, HOSTILE, { model: "simulator/echo?gap=0" });
  await ended(gateway, id);
  const operator = await signedIn(`#/requests/${id}`);
  const { page } = operator;
  const answer = page.locator(".seen pre");
  await expect.poll(() => answer.textContent()).toBe(HOSTILE);
  expect(await page.locator(".messages pre").last().textContent()).toBe(HOSTILE);
  expect(await page.locator("#root :is(script, img)").count()).toBe(0);

  const slider = page.getByLabel("Events played");
  const end = Number(await slider.getAttribute("max"));
  await slider.fill("0");
  await operator.sees("Before the first event");
  expect(await answer.textContent()).toBe("");
  const on = page.getByRole("button", { name: "One event on" });
  for (let nth = 0; nth < 3; nth++) await on.click();
  const begun = (await answer.textContent()) ?? "";
  expect(begun.length).toBeGreaterThan(0);
  expect(HOSTILE.startsWith(begun)).toBe(true);
  await page.getByRole("button", { name: "One event back" }).click();
  expect(await slider.inputValue()).toBe("2");

  await page.getByLabel("Speed").selectOption("500");
  await page.getByRole("button", { name: "Play" }).click();
  await expect.poll(() => slider.inputValue()).toBe(String(end));
  expect(await answer.textContent()).toBe(HOSTILE);
  await page.getByRole("link", { name: "All requests" }).click();
  await operator.sees("<script>alert(1)</script>");
});

test("a request that runs is followed; one that nobody made is not found", async () => {
  const operator = await signedIn();
  const id = await ask(gateway, "Go on", { model: "simulator/lorem?tokens=150&gap=0.05" });
  await operator.go(`#/requests/${id}`);
  await operator.sees("processing");
  await operator.sees("completed");
  await operator.go("#/requests/20261120T224400Z-0b9f6c1e-8f0e-4d55-9c3b-2a7a3a1f0d11");
  await operator.sees("What is older than the retention says is forgotten.");
});

test("a callback that was given up is seen, and made once more when that is confirmed", async () => {
  receiver.status = 409;
  const url = `${receiver.origin}/waits?signature=of-the-caller`;
  await ended(gateway, await ask(gateway, "Call me", { callback_url: url }));
  const operator = await signedIn();
  const { page } = operator;
  await page.getByRole("link", { name: "1 given up" }).click();
  const row = page.locator("tbody tr").filter({ hasText: "/waits" });
  await row.getByText("dead").waitFor();
  expect(await page.content()).not.toContain("of-the-caller");

  receiver.status = 200;
  // By the keyboard alone: in, out again, and back where one was.
  const replay = row.getByRole("button", { name: "Replay" });
  await replay.focus();
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").waitFor();
  await page.keyboard.press("Escape");
  await expect.poll(() => page.getByRole("dialog").count()).toBe(0);
  expect(await replay.evaluate((button) => button === document.activeElement)).toBe(true);
  expect(receiver.posts.length).toBe(1);

  await replay.click();
  await page.getByRole("dialog").getByRole("button", { name: "Replay" }).click();
  await operator.sees("No callback is like that.");
  await page.getByLabel("State").selectOption("delivered");
  await row.getByText("delivered").waitFor();
  expect(await row.getByRole("button").count()).toBe(0);
  expect(new Set(receiver.posts).size).toBe(1);
  expect(receiver.posts.length).toBe(2);
  await row.getByRole("link").click();
  await operator.sees("last answered with 200");
});

test("the overview moves with the gateway", async () => {
  const operator = await signedIn();
  const tile = (name: string) =>
    operator.page.locator(".tile", { hasText: name }).locator(".value").textContent();
  await expect.poll(() => tile("Workers busy")).toBe("0 of 2");
  const ids = [];
  for (let nth = 0; nth < 5; nth++) ids.push(await ask(gateway, "Load", { model: SLOW }));
  await expect.poll(() => tile("Workers busy")).toBe("2 of 2");
  await expect.poll(() => tile("Waiting")).toBe("3");
  await operator.page.getByRole("rowheader", { name: "shop" }).waitFor();
  for (const id of ids)
    await fetch(`${gateway.origin}/cancel_request/${id}`, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-App-Code": CODE },
      body: "{}",
    });
  await expect.poll(() => tile("Workers busy")).toBe("0 of 2");
  await operator.sees("Nothing waits and nothing runs.");
  await operator.page.getByRole("link", { name: "INVALID_REQUEST" }).waitFor();
});

test("usage is shared out by app, by model and by user", async () => {
  await ended(gateway, await ask(gateway, "one two three"));
  const operator = await signedIn("#/usage?days=7");
  const { page } = operator;
  const shop = page.getByRole("row").filter({ hasText: "shop" });
  await expect
    .poll(async () => Number(await shop.locator("td").first().textContent()))
    .toBeGreaterThan(0);
  await page.getByLabel("By", { exact: true }).selectOption("model");
  await page.getByRole("link", { name: "simulator/echo?first=0&gap=0.01" }).click();
  await operator.sees("one two three");
  expect(new URL(page.url()).hash).toBe(
    "#/requests?model=simulator%2Fecho%3Ffirst%3D0%26gap%3D0.01",
  );
});

test("what has a price has a cost: today's, by day, by app, and of the request itself", async () => {
  const id = await ask(gateway, "What is dear?", { model: "gpt-4o-mini" });
  await ended(gateway, id);
  const operator = await signedIn();
  const { page } = operator;
  const today = page.locator(".tile", { hasText: "Tokens today" });
  await today.getByRole("link", { name: "$" }).click();
  await operator.sees("Cost by day");
  await page.getByRole("row").filter({ hasText: "shop" }).getByText("$").waitFor();
  await operator.go(`#/requests/${id}`);
  await page.locator(".sheet div", { hasText: "Cost" }).getByText("$").waitFor();
  await operator.go("#/requests");
  await page.getByRole("columnheader", { name: "Cost" }).waitFor();
});
