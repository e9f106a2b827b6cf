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
  /** The beginning of a line; never searched again for its end. */
  #rest = "";
  /** The last line ended with a CR, which a LF may follow. */
  #cr = false;
  #id: string;
  #event = "";
  #data: string | undefined;

  constructor(lastId = "") {
    this.lastId = this.#id = lastId;
  }

  /** The events that are complete with these bytes. */
  feed(bytes: Uint8Array): ServerEvent[] {
    let text = this.#utf8.decode(bytes, { stream: true });
    if (!text) return [];
    if (this.#cr && text[0] === "\n") text = text.slice(1);
    this.#cr = text ? text.endsWith("\r") : false;
    const events: ServerEvent[] = [];
    let start = 0;
    for (const end of text.matchAll(/\r\n?|\n/g)) {
      const event = this.#line(this.#rest + text.slice(start, end.index));
      if (event) events.push(event);
      this.#rest = "";
      start = end.index + end[0].length;
    }
    this.#rest += text.slice(start);
    return events;
  }

  #line(line: string): ServerEvent | undefined {
    if (!line) return this.#dispatch();
    const [, field, value = ""] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) as RegExpExecArray;
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
