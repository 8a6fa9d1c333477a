/**
 * What the browser remembers: the person's name and secret key and the rooms visited (for good), and messages that
 * are not out yet (as long as the tab lives).
 *
 * Storage can be forbidden or full. Then things are remembered as long as the page lives.
 */

const fallback = new Map();

function read(storage, key) {
  try {
    return JSON.parse(window[storage].getItem(key)) ?? fallback.get(key) ?? null;
  } catch {
    return fallback.get(key) ?? null;
  }
}

function write(storage, key, value) {
  fallback.set(key, value);
  try {
    window[storage].setItem(key, JSON.stringify(value));
  } catch {
    // The fallback has it.
  }
}

export const ROOMS_REMEMBERED = 6;

export function name() {
  const stored = read("localStorage", "parlour.name");
  return typeof stored === "string" ? stored : "";
}

export function rememberName(text) {
  write("localStorage", "parlour.name", text);
}

/** A random text for what must be new and unguessable. (crypto.randomUUID exists on secure origins only.) */
export function newId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** This browser's secret: by it the server knows one person's tabs and reconnects for the same person's. */
export function key() {
  let stored = read("localStorage", "parlour.key");
  if (typeof stored !== "string") {
    stored = newId();
    write("localStorage", "parlour.key", stored);
  }
  return stored;
}

export function rooms() {
  const stored = read("localStorage", "parlour.rooms");
  return Array.isArray(stored) ? stored.filter((room) => typeof room === "string") : [];
}

export function rememberRoom(room) {
  const others = rooms().filter((other) => other !== room);
  write("localStorage", "parlour.rooms", [room, ...others].slice(0, ROOMS_REMEMBERED));
}

/** The messages of *room* that are not out yet: [{id, text}]. */
export function outbox(room) {
  const stored = read("sessionStorage", `parlour.outbox:${room}`);
  return Array.isArray(stored) ? stored.filter((entry) => entry?.id && entry?.text) : [];
}

export function rememberOutbox(room, entries) {
  write("sessionStorage", `parlour.outbox:${room}`, entries);
}
