/** A proxy that cuts connections in the middle of what it passes on. */

import { connect, createServer, type Server, type Socket } from "node:net";
import type { Chance } from "./chance.ts";

export class Cutter {
  readonly origin: string;
  cuts = 0;
  connections = 0;
  /** What is cut after how many bytes; undefined cuts nothing. */
  #most: number | undefined;
  readonly #chance: Chance;
  readonly #server: Server;
  readonly #open = new Set<Socket>();

  private constructor(server: Server, target: string, chance: Chance, most: number | undefined) {
    this.#server = server;
    this.#chance = chance;
    this.#most = most;
    this.origin = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
    server.on("connection", (socket) => this.#pass(socket, new URL(target)));
  }

  /**
   * @param most bytes of an answer that are passed on at most; each connection is cut after
   * some number of bytes below.
   */
  static async start(target: string, chance: Chance, most?: number): Promise<Cutter> {
    const server = createServer({ noDelay: true }).listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    return new Cutter(server, target, chance, most);
  }

  /** Cut nothing more. */
  relent(): void {
    this.#most = undefined;
  }

  /** Cut all that is open now. */
  cutAll(): void {
    for (const socket of this.#open) socket.destroy();
  }

  #pass(down: Socket, target: URL): void {
    this.connections++;
    const up = connect({ host: target.hostname, port: Number(target.port), noDelay: true });
    for (const socket of [up, down]) {
      this.#open.add(socket);
      // A cut is what this is for.
      socket.on("error", () => {});
      socket.on("close", () => {
        this.#open.delete(socket);
        up.destroy();
        down.destroy();
      });
    }
    let left = this.#most === undefined ? Number.POSITIVE_INFINITY : this.#chance.below(this.#most);
    down.pipe(up);
    up.on("data", (data: Buffer) => {
      const end = data.length >= left;
      down.write(data.subarray(0, left), () => end && this.#cut(down));
      left -= data.length;
      if (end) up.pause();
    });
    up.on("end", () => down.end());
  }

  #cut(socket: Socket): void {
    this.cuts++;
    // Half of them as a cable that is pulled, half as a server that ends too early.
    if (this.#chance.below(2)) socket.resetAndDestroy();
    else socket.destroy();
  }

  async close(): Promise<void> {
    this.cutAll();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
