/** Who sits before a page of a real gateway, in a real browser. */

import type { Browser, BrowserContext, BrowserContextOptions, Page } from "playwright-core";
import { expect } from "vitest";
import { type Gateway, PATIENCE } from "../../test/gateway.ts";

export class Reader {
  readonly page: Page;
  /** What the page's console complains of. */
  readonly complaints: string[] = [];
  /** What the page asked for that is not the gateway's. */
  readonly strangers: string[] = [];

  private constructor(page: Page, gateway: Gateway) {
    this.page = page;
    page.on("pageerror", (error) => this.complaints.push(String(error)));
    page.on("dialog", (dialog) => {
      this.complaints.push(`a dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    page.on("console", (message) => {
      // A refusal that the page explains is in the console all the same.
      if (message.type() === "error" && !message.text().startsWith("Failed to load resource"))
        this.complaints.push(message.text());
    });
    page.on("request", (request) => {
      if (!request.url().startsWith(gateway.origin)) this.strangers.push(request.url());
    });
  }

  static async at(
    where: Browser | BrowserContext,
    gateway: Gateway,
    path: string,
    options: BrowserContextOptions = {},
  ): Promise<Reader> {
    const context =
      "newContext" in where
        ? await where.newContext({ viewport: { width: 1200, height: 800 }, ...options })
        : where;
    context.setDefaultTimeout(PATIENCE);
    const reader = new Reader(await context.newPage(), gateway);
    await reader.page.goto(`${gateway.origin}${path}`);
    return reader;
  }

  /** Ask in the chat. */
  async ask(prompt: string, model = ""): Promise<void> {
    await this.page.getByLabel("Model").fill(model);
    await this.page.getByLabel("Your question").fill(prompt);
    await this.page.keyboard.press("Enter");
  }

  /** The text of the last answer as it was received, from what the chat keeps of it. */
  async answer(): Promise<string> {
    return this.page.evaluate(() => {
      const ids: string[] = JSON.parse(sessionStorage.getItem("gateway:chat") ?? "[]");
      return JSON.parse(sessionStorage.getItem(`gateway:chat:${ids.at(-1)}`) ?? "{}").text ?? "";
    });
  }

  /** Wait until the last answer is in a phase, and all of it is shown. */
  async until(phase: "writing" | "done" | "stopped" | "failed"): Promise<void> {
    await this.page.waitForFunction((wanted) => {
      const last = [...document.querySelectorAll<HTMLElement>(".answer")].at(-1);
      const busy = last?.getAttribute("aria-busy") === "true";
      return last?.dataset.phase === wanted && busy === (wanted === "writing");
    }, phase);
  }

  /** Wait until so much of the last answer is on the page. */
  async sees(length: number): Promise<void> {
    await this.page.waitForFunction(
      (least) =>
        ([...document.querySelectorAll(".answer .markdown")].at(-1)?.textContent ?? "").length >=
        least,
      length,
    );
  }

  async leave(): Promise<void> {
    await this.page.context().close();
    expect({ complaints: this.complaints, strangers: this.strangers }).toEqual({
      complaints: [],
      strangers: [],
    });
  }
}

/** Words that can be told apart, so that a lost or doubled one is seen. */
export function words(count: number): string {
  return Array.from({ length: count }, (_, i) => `word${i}`).join(" ");
}
