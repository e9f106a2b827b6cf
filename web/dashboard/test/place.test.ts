import { expect, test } from "vitest";
import { href, parse } from "../place.ts";

test.each([
  ["", { page: "overview", id: "", filters: {} }],
  ["#/", { page: "overview", id: "", filters: {} }],
  ["#/nowhere", { page: "overview", id: "", filters: {} }],
  [
    "#/requests?state=error&q=a+b",
    { page: "requests", id: "", filters: { state: "error", q: "a b" } },
  ],
  ["#/requests/1%2F2", { page: "requests", id: "1/2", filters: {} }],
  ["#/requests/%E0%A4%A", { page: "requests", id: "%E0%A4%A", filters: {} }],
  ["#/callbacks/1", { page: "callbacks", id: "", filters: {} }],
])("the fragment %j names a place", (fragment, place) => {
  expect(parse(fragment)).toEqual(place);
});

test("an address leads back to its place, without what is empty", () => {
  expect(href("overview")).toBe("#/overview");
  const address = href("requests", { q: "ø & <b>", state: "" });
  expect(parse(address)).toEqual({ page: "requests", id: "", filters: { q: "ø & <b>" } });
  expect(parse(href("requests", {}, "a/b?c")).id).toBe("a/b?c");
});
