/** A state in a word and a colour. */

type Mood = "good" | "bad" | "warn" | "busy" | "plain";

const MOODS: Readonly<Record<string, Mood>> = {
  completed: "good",
  delivered: "good",
  connected: "good",
  processing: "busy",
  pending: "busy",
  error: "bad",
  dead: "bad",
  refused: "bad",
  open: "bad",
  unreachable: "bad",
  cancelled: "warn",
  expired: "warn",
  delivered_unconfirmed: "warn",
  failing: "warn",
  probing: "warn",
};

/** Those whose name says too little, or is too long. */
const WORDS: Readonly<Record<string, string>> = {
  delivered_unconfirmed: "unconfirmed",
  open: "spared",
};

export function Chip({ state }: { state: string }) {
  return <span className={`chip ${MOODS[state] ?? "plain"}`}>{WORDS[state] ?? state}</span>;
}
