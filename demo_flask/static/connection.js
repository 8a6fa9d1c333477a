/**
 * A WebSocket that comes back.
 *
 * Carries JSON objects and knows nothing of what they mean. Dispatches two events:
 *
 *   "message"  detail: the object received
 *   "state"    detail: {state, retryAt, stopped, final}
 *              connecting -> open -> waiting (until retryAt, milliseconds of Date.now()) -> connecting -> …
 *              stopped: the last we heard of the server is that it stops
 *              and "closed": by us, or by the server in a way that trying again cannot mend (final: its reason)
 */

/** Milliseconds: the first pause, and the longest. */
const FIRST_PAUSE = 1_000;
const LONGEST_PAUSE = 30_000;

/** Milliseconds until an attempt to connect, or a request without an answer, counts as failed. */
const PATIENCE = 10_000;

/** RFC 6455 section 7.4.1: policy violation. The server does not want us; it will not next time either. */
const POLICY_VIOLATION = 1008;

/** Ditto: "going away", which a server sends when it stops. */
const GOING_AWAY = 1001;

/** Our own code (4000-4999 are free for applications): we hang up because nothing comes back. */
const NO_ANSWER = 4000;

/**
 * Milliseconds to wait before attempt number *attempt* (from 0): doubles each time up to a limit. Half of it is chance,
 * so that after a restart of the server its clients do not all come back in the same instant.
 */
export function pause(attempt, random = Math.random) {
  const most = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** attempt);
  return most / 2 + (random() * most) / 2;
}

export class Connection extends EventTarget {
  #url;
  #socket = null;
  #attempt = 0;
  #pauseTimer = 0;
  #patienceTimer = 0;
  #state = "closed";
  #stopped = false;

  constructor(url) {
    super();
    this.#url = url;
    addEventListener("online", () => this.check());
    addEventListener("offline", () => this.#state === "open" && this.check());
    // Timers of hidden pages are slow, and a laptop may have slept: do not make who comes back wait for them.
    document.addEventListener("visibilitychange", () => document.hidden || this.check());
    addEventListener("pageshow", (event) => event.persisted && this.check());
  }

  get state() {
    return this.#state;
  }

  /** Connect, now. Does nothing while connected or connecting. */
  open() {
    if (this.#state === "open" || this.#state === "connecting") return;
    clearTimeout(this.#pauseTimer);
    const socket = new WebSocket(this.#url);
    this.#socket = socket;
    this.#become("connecting");
    this.#expectAnswer();
    socket.addEventListener("open", () => this.#socket === socket && this.#opened());
    socket.addEventListener("message", (event) => this.#socket === socket && this.#received(event.data));
    socket.addEventListener("close", (event) => this.#socket === socket && this.#lost(event));
  }

  /** Send an object that the server answers. False, and nothing sent, unless open. */
  send(request) {
    if (this.#state !== "open") return false;
    this.#socket.send(JSON.stringify(request));
    this.#expectAnswer();
    return true;
  }

  /** The conversation has really begun (a server may accept and hang up at once): pauses are short again. */
  settled() {
    this.#attempt = 0;
  }

  /** Find out whether the connection still works; if there is none, try at once. */
  check() {
    if (this.#state === "open") this.send({ type: "ping" });
    else if (this.#state === "waiting") this.open();
  }

  /** Hang up for good. Safe to call in any state. */
  close() {
    clearTimeout(this.#pauseTimer);
    this.#answered();
    const socket = this.#socket;
    this.#socket = null;
    socket?.close(1000);
    this.#become("closed");
  }

  #opened() {
    this.#answered();
    this.#stopped = false;
    this.#become("open");
  }

  #received(data) {
    this.#answered();
    this.dispatchEvent(new CustomEvent("message", { detail: JSON.parse(data) }));
  }

  /** Every request is answered. Silence means that the connection is gone, though nobody has told us. */
  #expectAnswer() {
    if (this.#patienceTimer) return;
    const socket = this.#socket;
    this.#patienceTimer = setTimeout(() => {
      if (this.#socket !== socket) return;
      this.#lost({ code: 1006, reason: "" });
      socket.close(NO_ANSWER, "no answer");
    }, PATIENCE);
  }

  #answered() {
    clearTimeout(this.#patienceTimer);
    this.#patienceTimer = 0;
  }

  #lost({ code, reason }) {
    this.#answered();
    this.#socket = null;
    if (code === POLICY_VIOLATION) {
      this.#become("closed", { final: reason || "the server has refused the connection" });
      return;
    }
    this.#stopped ||= code === GOING_AWAY;
    const wait = pause(this.#attempt++);
    this.#pauseTimer = setTimeout(() => this.open(), wait);
    this.#become("waiting", { retryAt: Date.now() + wait, stopped: this.#stopped });
  }

  #become(state, detail = {}) {
    this.#state = state;
    this.dispatchEvent(new CustomEvent("state", { detail: { state, ...detail } }));
  }
}
