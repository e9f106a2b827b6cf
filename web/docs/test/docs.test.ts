/** The API's page in Chromium, of a gateway that runs. */

import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { launchChromium } from "../../test/chromium.ts";
import { CODE, Gateway } from "../../test/gateway.ts";

let browser: Browser;
let gateway: Gateway;

beforeAll(async () => {
  [browser, gateway] = await Promise.all([launchChromium(), Gateway.start()]);
});

afterAll(async () => {
  await browser?.close();
  await gateway?.close();
});

/** The page, everything it asks for, and what its console complains of. */
async function opened(width: number, colorScheme: "light" | "dark" = "light") {
  const page = await browser.newPage({ viewport: { width, height: 800 }, colorScheme });
  const [asked, complaints]: [string[], string[]] = [[], []];
  page.on("request", (request) => asked.push(new URL(request.url()).origin));
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  await page.goto(`${gateway.origin}/docs`);
  await page.getByText("AI streaming gateway").first().waitFor();
  await page.locator("#operations-status-get_health").waitFor();
  return { page, asked, complaints };
}

test("every call of the document is listed, nothing comes from elsewhere, nothing is refused", async () => {
  const { page, asked, complaints } = await opened(1440);
  const document = (await (await fetch(`${gateway.origin}/openapi.json`)).json()) as {
    paths: Record<string, object>;
  };
  const calls = Object.values(document.paths).flatMap((path) => Object.keys(path));
  expect(await page.locator(".opblock").count()).toBe(calls.length);
  expect(new Set(asked)).toEqual(new Set([gateway.origin]));
  expect(complaints).toEqual([]);
  for (const link of await page.locator("#colophon a").all()) {
    const answer = await fetch(await link.evaluate((element: HTMLAnchorElement) => element.href));
    expect([answer.status, await answer.text()]).toEqual([200, expect.stringContaining("MIT")]);
  }
  await page.close();
});

test("a call is tried from the page with a credential", async () => {
  const { page, complaints } = await opened(1440);
  await page.getByRole("button", { name: "Authorize" }).click();
  const field = page.locator("#auth-bearer-value");
  await field.fill(CODE);
  await page
    .locator(".auth-container", { has: field })
    .getByRole("button", { name: "Apply" })
    .click();
  await page.getByRole("button", { name: "Close" }).first().click();
  const call = page.locator("#operations-openai-get_v1_models");
  await call.getByRole("button").first().click();
  await call.getByRole("button", { name: "Try it out" }).click();
  await call.getByRole("button", { name: "Execute" }).click();
  const answer = call.locator(".live-responses-table");
  await answer.waitFor();
  expect(await answer.textContent()).toContain('"object": "list"');
  expect(complaints).toEqual([]);
  await page.close();
});

test.each([
  [320, "light"],
  [320, "dark"],
] as const)(
  "an opened call at %i pixels, %s, is no wider than the screen",
  async (width, scheme) => {
    const { page, complaints } = await opened(width, scheme);
    await page
      .locator("#operations-ai_request-post_ai_request")
      .getByRole("button")
      .first()
      .click();
    await page.getByText("It is queued.").first().waitFor();
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(width);
    const dark = await page.evaluate(() =>
      document.documentElement.classList.contains("dark-mode"),
    );
    expect(dark).toBe(scheme === "dark");
    expect(complaints).toEqual([]);
    await page.close();
  },
);
