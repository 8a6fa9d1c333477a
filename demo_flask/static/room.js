/**
 * What one knows of a room: who is here, what was said, what is not out yet. Speaks the protocol of chat.py; knows
 * the connection and a view to show things with, but no element of the page.
 */

import * as memory from "./memory.js";

export class Room {
  #name;
  #connection;
  #view;

  /** Who we are to the server, once welcomed; kept over reconnects. */
  #person = null;
  #nickname = "";

  /** After which message to continue: the position of the last one shown. */
  #position = null;

  /** Welcomed on this connection. Until then all that arrives is held, so that history comes before the news. */
  #welcomed = false;
  #held = [];

  /** Who is here: session id -> {person, name}. One person can be here in two tabs. */
  #people = new Map();

  /** Ids of messages shown: the server may send one twice, after a reconnect for example. */
  #shown = new Set();

  /** Ours that have not come back from the server: [{id, text, problem?}]. */
  #outbox;

  /** Name in lower case -> the persons seen with it: two of them need something to tell them apart. */
  #bearers = new Map();

  constructor(name, connection, view) {
    this.#name = name;
    this.#connection = connection;
    this.#view = view;
    this.#outbox = memory.outbox(name);
    connection.addEventListener("state", ({ detail }) => this.#connectionIs(detail));
    connection.addEventListener("message", ({ detail }) => this.#received(detail));
    this.#showOutbox();
  }

  /** Messages that would be lost with the tab. */
  get pending() {
    return this.#outbox.length > 0;
  }

  /** Come in under a name, or go by another one from now on. */
  callMe(nickname) {
    this.#nickname = nickname;
    if (this.#welcomed) this.#connection.send({ type: "rename", name: nickname });
    else if (this.#connection.state === "open") this.#sayHello();
    else this.#connection.open();
  }

  /** Say something: now, or as soon as there is a connection. */
  say(text) {
    const entry = { id: memory.newId(), text };
    this.#outbox.push(entry);
    this.#outboxChanged();
    if (this.#welcomed) this.#sendOut(entry);
  }

  /** Remove a message from those that are not out yet and return its text. */
  takeBack(id) {
    const entry = this.#outbox.find((each) => each.id === id);
    this.#outbox = this.#outbox.filter((each) => each.id !== id);
    this.#outboxChanged();
    return entry?.text ?? "";
  }

  #connectionIs(detail) {
    this.#welcomed = false;
    this.#held = [];
    this.#view.showStatus({ ...detail, returning: this.#position !== null });
    this.#showOutbox();
    if (detail.state === "open") this.#sayHello();
  }

  #sayHello() {
    this.#connection.send({ type: "hello", name: this.#nickname, key: memory.key(), since: this.#position });
  }

  #received(message) {
    if (message.type === "welcome") this.#welcome(message);
    else if (message.type === "error") this.#refused(message);
    else if (this.#welcomed) this.#apply(message);
    else this.#held.push(message);
  }

  #welcome({ person, people, recovered, history, position }) {
    const returning = this.#position !== null;
    const before = this.#persons();
    this.#person = person;
    this.#people = new Map(people.map((each) => [each.id, each]));
    for (const each of people) this.#noteName(each);
    const gap = !recovered && !history.some(({ id }) => this.#shown.has(id));
    if (returning) this.#sayWhatHappened(before, position, gap);
    // What a recovery brings arrives as ordinary messages, and each of them moves the position on.
    if (!recovered) {
      this.#view.addQuietly(() => history.forEach((message) => this.#applyMessage(message)));
      this.#position = position;
    }
    this.#held.forEach((message) => this.#apply(message));
    this.#held = [];
    this.#welcomed = true;
    this.#connection.settled();
    this.#showPeople();
    this.#view.showStatus({ state: "welcomed", name: this.#nickname });
    this.#outbox.filter((entry) => !entry.problem).forEach((entry) => this.#sendOut(entry));
    this.#showOutbox();
  }

  /** Nobody has told us while we were away: not the others who went and came, nor the server that it restarted. */
  #sayWhatHappened(before, position, gap) {
    const [epoch] = this.#position.split(":");
    if (!position.startsWith(`${epoch}:`)) {
      this.#view.addNotice("The chat has restarted: what was said before is on this page only.");
      return;
    }
    const now = this.#persons();
    const came = this.#labelsOfThoseIn(now, before);
    const went = this.#labelsOfThoseIn(before, now);
    const lines = [
      "You are back.",
      came && `Came meanwhile: ${came}.`,
      went && `Went meanwhile: ${went}.`,
      gap && "So much was said that messages from in between are missing here.",
    ];
    this.#view.addNotice(lines.filter(Boolean).join(" "));
  }

  #labelsOfThoseIn(persons, notIn) {
    const others = [...persons.values()].filter(({ person }) => person !== this.#person && !notIn.has(person));
    return others.map((each) => this.#label(each)).join(", ");
  }

  #refused({ code, text, id }) {
    const entry = this.#outbox.find((each) => each.id === id);
    if (entry) {
      entry.problem = text;
      this.#outboxChanged();
    } else if (code === "name") {
      this.#view.askName(text);
    } else {
      this.#view.addNotice(text);
    }
  }

  #apply(message) {
    if (message.type === "message") this.#applyMessage(message);
    else if (message.type === "came") this.#applyCame(message);
    else if (message.type === "went") this.#applyWent(message);
    else if (message.type === "renamed") this.#applyRenamed(message);
  }

  #applyMessage(message) {
    if (this.#shown.has(message.id)) return;
    this.#shown.add(message.id);
    this.#position = message.position;
    this.#noteName(message);
    this.#view.addMessage({ ...message, label: this.#label(message), mine: message.person === this.#person });
    if (this.#outbox.some(({ id }) => id === message.id)) this.takeBack(message.id);
  }

  #applyCame(came) {
    const news = !this.#isHere(came.person);
    this.#people.set(came.id, came);
    this.#noteName(came);
    this.#showPeople();
    if (news) this.#view.addNotice(`${this.#label(came)} ${came.back ? "is back" : "came in"}`);
  }

  #applyWent(went) {
    const news = this.#people.delete(went.id) && !this.#isHere(went.person);
    this.#showPeople();
    if (news) this.#view.addNotice(`${this.#label(went)} ${went.reason}`, went.cause);
  }

  #applyRenamed(renamed) {
    this.#people.set(renamed.id, renamed);
    this.#noteName(renamed);
    this.#showPeople();
    if (renamed.person === this.#person) this.#view.showStatus({ state: "welcomed", name: renamed.name });
    this.#view.addNotice(`${renamed.was} is now called ${this.#label(renamed)}`);
  }

  #isHere(person) {
    return this.#persons().has(person);
  }

  /** Who is here, each person once: person -> {person, name}. */
  #persons() {
    return new Map([...this.#people.values()].map((each) => [each.person, each]));
  }

  #noteName({ person, name }) {
    const key = name.toLocaleLowerCase();
    if (!this.#bearers.has(key)) this.#bearers.set(key, new Set());
    this.#bearers.get(key).add(person);
  }

  /** The name; with a mark of who it is if several go by it. */
  #label({ person, name }) {
    return this.#bearers.get(name.toLocaleLowerCase()).size > 1 ? `${name} #${person.slice(0, 4)}` : name;
  }

  #showPeople() {
    const list = [...this.#persons().values()].map((each) => ({
      name: each.name,
      label: this.#label(each),
      mine: each.person === this.#person,
    }));
    list.sort((one, other) => other.mine - one.mine || one.label.localeCompare(other.label));
    this.#view.showPeople(list);
  }

  #sendOut({ id, text }) {
    this.#connection.send({ type: "say", id, text });
  }

  #outboxChanged() {
    memory.rememberOutbox(this.#name, this.#outbox);
    this.#showOutbox();
  }

  #showOutbox() {
    this.#view.showOutbox(this.#outbox, this.#welcomed);
  }
}
