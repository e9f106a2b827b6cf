/** A point in time: short to read, whole on a closer look. */

import { moment, moments, stamp } from "./words.ts";

export function When({ at }: { at: number }) {
  return (
    <time dateTime={stamp(at)} title={moments(at)}>
      {moment(at, Date.now() / 1000)}
    </time>
  );
}
