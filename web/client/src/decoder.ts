/** Server-sent events out of a stream of bytes, however it is cut: lines, characters, CRLF. */

export interface ServerEvent {
  event: string;
  data: string;
  /** The last id that the stream named; "" before the first. */
  id: string;
}

/**
 * The format is the WHATWG's: https://html.spec.whatwg.org/multipage/server-sent-events.html
 * An event that the stream's end leaves incomplete is never seen.
 */
export class EventDecoder {
  /** What a reader sends as Last-Event-ID to go on from here. */
  lastId: string;
  /** Milliseconds that the server asks a reader to wait before it comes again. */
  retry: number | undefined;
  #utf8 = new TextDecoder();
  #text = "";
  #id: string;
  #event = "";
  #data: string | undefined;

  constructor(lastId = "") {
    this.lastId = this.#id = lastId;
  }

  /** The events that are complete with these bytes. */
  feed(bytes: Uint8Array): ServerEvent[] {
    this.#text += this.#utf8.decode(bytes, { stream: true });
    const events: ServerEvent[] = [];
    // A CR at the very end may be half of a CRLF: it waits.
    const lines = /([^\r\n]*)(?:\r\n|\n|\r(?!$))/g;
    let end = 0;
    for (let found = lines.exec(this.#text); found; found = lines.exec(this.#text)) {
      end = lines.lastIndex;
      const event = this.#line(found[1] as string);
      if (event) events.push(event);
    }
    if (end) this.#text = this.#text.slice(end);
    return events;
  }

  #line(line: string): ServerEvent | undefined {
    if (line === "") return this.#dispatch();
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + (line[colon + 1] === " " ? 2 : 1));
    if (field === "data") this.#data = this.#data === undefined ? value : `${this.#data}\n${value}`;
    else if (field === "event") this.#event = value;
    else if (field === "id" && !value.includes("\0")) this.#id = value;
    else if (field === "retry" && /^\d+$/.test(value)) this.retry = Number(value);
    return undefined;
  }

  #dispatch(): ServerEvent | undefined {
    this.lastId = this.#id;
    const data = this.#data;
    const event = this.#event || "message";
    this.#event = "";
    this.#data = undefined;
    return data === undefined ? undefined : { event, data, id: this.lastId };
  }
}
