/** The line between the dashboard and a gateway that goes away and comes back. */

import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { launchChromium } from "../../test/chromium.ts";
import { Gateway } from "../../test/gateway.ts";
import { Operator } from "./operator.ts";

let browser: Browser;
let gateway: Gateway;

beforeAll(async () => {
  [browser, gateway] = await Promise.all([launchChromium(), Gateway.start()]);
});

afterAll(async () => {
  await browser?.close();
  await gateway?.close();
});

test("on the gateway's own machine no code is asked for, and a new gateway says what to expect", async () => {
  const operator = await Operator.at(browser, gateway);
  await operator.go();
  await operator.sees(/^Live/);
  await operator.sees("Nothing waits and nothing runs.");
  await operator.sees("No request has been completed lately.");
  await operator.go("#/requests");
  await operator.sees("No request has been made yet.");
  await operator.go("#/callbacks");
  await operator.sees("No request has asked for a callback yet.");
  await operator.leave();
});

test("a gateway that dies is missed, and found again by itself", async () => {
  const operator = await Operator.at(browser, gateway);
  await operator.go();
  await operator.sees(/^Live/);
  await gateway.end();
  await operator.sees("The line to the gateway is broken.");
  await operator.sees("What you see is as it was");
  await gateway.run();
  await operator.sees(/^Live/);
  expect(await operator.page.getByText("is broken").count()).toBe(0);
  // That nobody answered is in the console, and is meant to be.
  operator.complaints.length = 0;
  await operator.leave();
});

test.each([
  ["overview", 1440],
  ["requests", 1440],
  ["overview", 320],
  ["requests", 320],
  ["callbacks", 320],
  ["usage", 320],
])("the page of %s at %i pixels is no wider than the screen", async (page, width) => {
  const operator = await Operator.at(browser, gateway, { viewport: { width, height: 800 } });
  await operator.go(`#/${page}`);
  await operator.sees(/^Live/);
  const seen = await operator.page.evaluate(() => document.documentElement.scrollWidth);
  expect(seen).toBe(width);
  await operator.leave();
});
