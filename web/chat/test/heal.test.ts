import { expect, test } from "vitest";
import { heal } from "../markdown/heal.ts";

test.each([
  ["nothing to do", "nothing to do"],
  ["**bold te", "**bold te**"],
  ["some *emph", "some *emph*"],
  ["**bold** and", "**bold** and"],
  ["**bold *and", "**bold *and***"],
  ["run `npm i", "run `npm i`"],
  ["run `", "run "],
  ["see [the docs](https://exa", "see the docs"],
  ["see [the do", "see the do"],
  ["see ![an ima", "see "],
  ["a list **", "a list"],
  ["2 * 3 is", "2 * 3 is"],
  ["snake_case_name", "snake_case_name"],
  ["`a*b` is", "`a*b` is"],
  ["~~gone", "~~gone~~"],
  ["**first\n\nsecond", "**first\n\nsecond"],
  ["- item\n- ", "- item\n- "],
  ["[done](https://example.org) yes", "[done](https://example.org) yes"],
])("heals %j as %j", (text, want) => {
  expect(heal(text)).toBe(want);
});
