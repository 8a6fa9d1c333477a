/**
 * What the page shows. All that people have written gets here as text and is set as text, never as HTML.
 */

/** Elements of the log that are kept: a tab may stay open for weeks. */
const LOG_LIMIT = 500;

/** Milliseconds within which messages of one person are shown as one group. */
const GROUP = 5 * 60_000;

/** How many colours for names the style sheet has (tone-0, tone-1, …). */
const TONES = 8;

/** Addresses in a text, without the punctuation that ends the sentence around them. */
const ADDRESS = /(https?:\/\/[^\s<>"]*[^\s<>".,;:!?'()[\]{}])/;

const find = (selector) => document.querySelector(selector);
const clock = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const calendar = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });

function element(tag, className = "", ...content) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...content);
  return made;
}

/** The initial of a *name*, in the colour of its *label*: two people of one name differ in that at least. */
function avatar(name, label) {
  // By code points and in any script: the first letter or digit, else whatever is first (an emoji, say).
  const initial = name.match(/[\p{L}\p{N}]/u)?.[0] ?? Array.from(name)[0];
  const made = element("span", `avatar tone-${tone(label)}`, initial.toLocaleUpperCase());
  made.setAttribute("aria-hidden", "true");
  return made;
}

/** A number for a label, the same everywhere, so that a person has one colour on all screens. */
function tone(label) {
  let sum = 0;
  for (const character of label.toLocaleLowerCase()) sum = (sum * 31 + character.codePointAt(0)) % 65_521;
  return sum % TONES;
}

/** The text with its http addresses as links. Splitting by a group puts the addresses at odd places. */
function withLinks(text) {
  return text.split(ADDRESS).map((part, index) => {
    if (index % 2 === 0) return part;
    const link = element("a", "", part);
    link.href = part;
    link.target = "_blank";
    link.rel = "noopener noreferrer nofollow";
    return link;
  });
}

export class View {
  #scroller = find("#scroller");
  #log = find("#log");
  #latest = find("#latest");
  #title = document.title;
  #unseen = 0;
  #lastMessage = null;
  #lastDay = "";
  #retryAt = 0;
  #ticker = 0;
  #outboxShown = "";

  /** What to do on a click on "Edit" of a message that is not out yet; gets its id. */
  onTakeBack = () => {};

  constructor() {
    this.#latest.addEventListener("click", () => {
      this.#scrollToEnd();
      find("#text").focus();
    });
    this.#scroller.addEventListener("scroll", () => this.#atEnd() && (this.#latest.hidden = true));
    // The keyboard of a phone comes up, the window is resized: the last message stays in view.
    let atEnd = true;
    this.#scroller.addEventListener("scroll", () => (atEnd = this.#atEnd()));
    new ResizeObserver(() => atEnd && this.#scrollToEnd()).observe(this.#scroller);
    document.addEventListener("visibilitychange", () => document.hidden || this.#countUnseen(0));
  }

  addMessage({ label, name, text, time, mine, person }) {
    const when = new Date(time);
    this.#startDay(when);
    const last = this.#lastMessage;
    const follows = last && last.person === person && last.name === name && time - last.time < GROUP;
    this.#lastMessage = { person, name, time };

    const stamp = element("time", "", clock.format(when));
    stamp.dateTime = when.toISOString();
    const author = element("span", "author", label);
    author.dir = "auto";
    const words = element("p", "text", ...withLinks(text));
    words.dir = "auto";
    const message = element(
      "article",
      ["message", `tone-${tone(label)}`, mine ? "mine" : "", follows ? "follows" : ""].filter(Boolean).join(" "),
      avatar(name, label),
      element("div", "words", element("p", "head", author, " ", stamp), words),
    );
    this.#add(message, mine);
    if (!mine && document.hidden) this.#countUnseen(this.#unseen + 1);
  }

  /** A line of the log that nobody has said. *cause*: why somebody went, if that is what it tells. */
  addNotice(text, cause = "") {
    const now = new Date();
    this.#startDay(now);
    this.#lastMessage = null;
    const stamp = element("time", "", clock.format(now));
    const notice = element("p", "notice", element("span", "", text), " ", stamp);
    if (cause) notice.dataset.cause = cause;
    notice.dir = "auto";
    this.#add(notice, false);
  }

  /** Let *add* add to the log without having it read out: what was said before we came is no news. */
  addQuietly(add) {
    this.#log.setAttribute("aria-live", "off");
    add();
    this.#scrollToEnd();
    // Screen readers look at the log some time after it has changed.
    setTimeout(() => this.#log.setAttribute("aria-live", "polite"), 1_000);
    find("#empty").hidden = this.#log.childElementCount > 0;
  }

  /** Who is here; an empty list when we cannot know, since otherwise we are in it. */
  showPeople(list) {
    find("#people-count").textContent = list.length || "?";
    find("#people-unknown").hidden = list.length > 0;
    find("#people-list").replaceChildren(
      ...list.map(({ name, label, mine }) => {
        const shown = element("span", "who", label);
        shown.dir = "auto";
        return element("li", "", avatar(name, label), shown, ...(mine ? [element("span", "you", "you")] : []));
      }),
    );
  }

  /** The messages that are not out yet. *sending*: there is a connection and they are on their way. */
  showOutbox(entries, sending) {
    // Nothing new: leave the buttons alone, one may have the focus.
    const content = JSON.stringify([entries, sending]);
    if (content === this.#outboxShown) return;
    this.#outboxShown = content;
    find("#outbox").replaceChildren(
      ...entries.map(({ id, text, problem }) => {
        const state = problem ?? (sending ? "Sending …" : "Not sent yet. It waits for the connection.");
        const edit = element("button", "quiet", "Edit");
        edit.type = "button";
        edit.addEventListener("click", () => this.onTakeBack(id));
        const words = element("p", "text", text);
        words.dir = "auto";
        const item = element("li", problem ? "failed" : "", words, element("p", "fate", state, " "));
        if (problem || !sending) item.lastChild.append(edit);
        return item;
      }),
    );
    find("#empty").hidden ||= entries.length > 0;
    if (entries.length) this.#scrollToEnd();
  }

  /**
   * The status line. *state* is one of the connection's, or "welcomed" (then with *name*); *retryAt*, *stopped* and
   * *final* are the connection's; *returning*: we have been in before.
   */
  showStatus({ state, name, retryAt = 0, stopped, final, returning }) {
    find("#status").dataset.state = state === "open" ? "connecting" : state;
    find("#status-text").textContent = {
      connecting: returning ? "Connecting again …" : "Connecting …",
      open: returning ? "Connecting again …" : "Connecting …",
      welcomed: `Connected as ${name}`,
      waiting: this.#whyWaiting(returning, stopped),
      closed: final ? `Not connected: ${final}.` : "You have signed off.",
    }[state];
    const retry = find("#retry");
    retry.textContent = state === "closed" ? "Come back" : "Try now";
    const hadFocus = document.activeElement === retry;
    retry.hidden = !(state === "waiting" || (state === "closed" && !final));
    if (hadFocus && retry.hidden) find("#text").focus();
    find("#rename").hidden = state !== "welcomed";
    find("#leave").disabled = state === "closed";
    this.#countDown(retryAt);
    if (state !== "welcomed") this.showPeople([]);
  }

  askName(problem = "", current = find("#name").value) {
    const dialog = find("#name-dialog");
    const field = find("#name");
    field.value = current;
    field.setAttribute("aria-invalid", String(Boolean(problem)));
    find("#name-problem").hidden = !problem;
    find("#name-problem").textContent = problem;
    if (!dialog.open) dialog.showModal();
    field.select();
  }

  #whyWaiting(returning, stopped) {
    if (!navigator.onLine) return "You are offline.";
    if (stopped) return "The chat has stopped.";
    return returning ? "Connection lost." : "The chat does not answer.";
  }

  /** Seconds until the next try, by eye only: read aloud each second they would drown everything else. */
  #countDown(retryAt) {
    clearInterval(this.#ticker);
    this.#retryAt = retryAt;
    const show = () => {
      const seconds = Math.max(1, Math.ceil((this.#retryAt - Date.now()) / 1_000));
      find("#countdown").textContent = this.#retryAt ? `Next try in ${seconds} s` : "";
    };
    show();
    if (retryAt) this.#ticker = setInterval(show, 250);
  }

  #startDay(when) {
    const day = when.toDateString();
    if (day === this.#lastDay) return;
    this.#lastDay = day;
    this.#lastMessage = null;
    const today = day === new Date().toDateString();
    this.#add(element("p", "day", today ? "Today" : calendar.format(when)), false);
  }

  #add(line, mine) {
    const stay = !mine && !this.#atEnd();
    this.#log.append(line);
    while (this.#log.childElementCount > LOG_LIMIT) this.#log.firstElementChild.remove();
    find("#empty").hidden = true;
    if (!stay) this.#scrollToEnd();
    else if (line.classList.contains("message")) this.#latest.hidden = false;
  }

  #countUnseen(number) {
    this.#unseen = number;
    document.title = number ? `(${number}) ${this.#title}` : this.#title;
  }

  #atEnd() {
    const { scrollHeight, scrollTop, clientHeight } = this.#scroller;
    return scrollHeight - scrollTop - clientHeight < 60;
  }

  #scrollToEnd() {
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
    this.#latest.hidden = true;
  }
}
