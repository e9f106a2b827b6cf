/** Numbers and times as people read them. */

const NONE = "–";
/** The page is in English, and so are its numbers; its hours are those of the reader. */
const LANGUAGE = "en";
const WHOLE = new Intl.NumberFormat(LANGUAGE);
const SHORT = new Intl.NumberFormat(LANGUAGE, { notation: "compact", maximumFractionDigits: 1 });
const CLOCK = new Intl.DateTimeFormat(LANGUAGE, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});
const DAY = new Intl.DateTimeFormat(LANGUAGE, { day: "numeric", month: "short" });
const FULL = new Intl.DateTimeFormat(LANGUAGE, { dateStyle: "full", timeStyle: "long" });

/** A count, whole: 12,345. */
export const whole = (count: number): string => WHOLE.format(count);

/** A count, short: 12.3K. */
export const short = (count: number): string => SHORT.format(count);

/** A count of things: 1 event, 2 events. */
export const counted = (count: number, of: string): string =>
  `${whole(count)} ${of}${count === 1 ? "" : "s"}`;

/** Dollars; small sums with as many places as they need to be seen. */
export function dollars(sum: number | null | undefined): string {
  if (sum == null) return NONE;
  if (sum === 0) return "$0";
  if (sum < 0.0001) return "< $0.0001";
  return `$${sum.toLocaleString(LANGUAGE, {
    minimumFractionDigits: 2,
    maximumFractionDigits: sum < 1 ? 4 : 2,
  })}`;
}

/** A length of time in its largest two units: 340 ms, 4.2 s, 3 m 5 s, 2 d 4 h. */
export function lasting(seconds: number | null | undefined): string {
  if (seconds == null) return NONE;
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 59.95) return `${seconds.toFixed(seconds < 9.95 ? 1 : 0)} s`;
  const total = Math.round(seconds);
  const units = [
    [Math.floor(total / 86_400), "d"],
    [Math.floor(total / 3600) % 24, "h"],
    [Math.floor(total / 60) % 60, "m"],
    [total % 60, "s"],
  ] as const;
  const first = units.findIndex(([count]) => count > 0);
  return units
    .slice(first, first + 2)
    .filter(([count], nth) => nth === 0 || count > 0)
    .map(([count, unit]) => `${count} ${unit}`)
    .join(" ");
}

/** When it was, in the reader's own time; the day only where it was another one. */
export function moment(at: number, now: number): string {
  const [then, today] = [new Date(at * 1000), new Date(now * 1000)];
  const clock = CLOCK.format(then);
  return then.toDateString() === today.toDateString() ? clock : `${DAY.format(then)}, ${clock}`;
}

/** When it was, to the second and with its zone. */
export const moments = (at: number): string => FULL.format(new Date(at * 1000));

/** As a `<time>` element wants it. */
export const stamp = (at: number): string => new Date(at * 1000).toISOString();

/** A time on an axis, as finely as its steps (in seconds) ask for; in the reader's zone or `zone`. */
export function dated(at: number, zone: string | undefined, step: number): string {
  const format: Intl.DateTimeFormatOptions =
    step >= 86_400
      ? { day: "numeric", month: "short" }
      : { hour: "2-digit", minute: "2-digit", ...(step < 60 && { second: "2-digit" }) };
  return new Date(at * 1000).toLocaleString(LANGUAGE, {
    ...format,
    hourCycle: "h23",
    ...(zone && { timeZone: zone }),
  });
}
