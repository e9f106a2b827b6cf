import { expect, test } from "vitest";
import { dated, dollars, lasting, moment, short, stamp, whole } from "../words.ts";

test.each([
  [null, "–"],
  [0, "0 ms"],
  [0.0004, "0 ms"],
  [0.34, "340 ms"],
  [4.24, "4.2 s"],
  [9.96, "10 s"],
  [59.9, "60 s"],
  [59.96, "1 m"],
  [185, "3 m 5 s"],
  [3600, "1 h"],
  [187_234, "2 d 4 h"],
])("a length of %s seconds reads %s", (seconds, words) => {
  expect(lasting(seconds)).toBe(words);
});

test.each([
  [undefined, "–"],
  [0, "$0"],
  [0.00001, "< $0.0001"],
  [0.0042, "$0.0042"],
  [0.2, "$0.20"],
  [1234.5, "$1,234.50"],
])("a sum of %s reads %s", (sum, words) => {
  expect(dollars(sum)).toBe(words);
});

test("counts are whole or short", () => {
  expect([whole(12_345), short(12_345), short(999)]).toEqual(["12,345", "12.3K", "999"]);
});

test("a moment of today needs no date", () => {
  const noon = new Date(2026, 10, 20, 12, 0, 5).getTime() / 1000;
  expect(moment(noon, noon + 60)).toBe("12:00:05");
  expect(moment(noon - 86_400, noon)).toBe("Nov 19, 12:00:05");
  expect(stamp(0)).toBe("1970-01-01T00:00:00.000Z");
});

test("an axis says no more than its steps need", () => {
  const at = Date.UTC(2026, 10, 20, 9, 5, 7) / 1000;
  const steps = [1, 60, 86_400].map((step) => dated(at, "UTC", step));
  expect(steps).toEqual(["09:05:07", "09:05", "Nov 20"]);
});
