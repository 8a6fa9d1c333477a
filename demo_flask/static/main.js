/** The room page: puts connection, room and view together, and listens to the person in front of it. */

import { Connection } from "./connection.js";
import * as memory from "./memory.js";
import { Room } from "./room.js";
import { View } from "./view.js";

const { room: roomName, socket: path } = document.body.dataset;
const address = new URL(path, location.href);
address.protocol = location.protocol === "https:" ? "wss:" : "ws:";

const view = new View();
const connection = new Connection(address.href);
const room = new Room(roomName, connection, view);

const composer = document.querySelector("#composer");
const text = document.querySelector("#text");
const dialog = document.querySelector("#name-dialog");
const nameField = document.querySelector("#name");
const people = document.querySelector("#people");
const toggle = document.querySelector("#people-toggle");

memory.rememberRoom(roomName);
if (memory.name()) room.callMe(memory.name());
else view.askName();

// On a phone the focus brings the keyboard up and half of the messages out of sight: not before one wants to write.
if (!dialog.open && matchMedia("(pointer: fine)").matches) text.focus();

// Writing.

function grow() {
  if (CSS.supports("field-sizing", "content")) return; // The style sheet does it.
  text.style.height = "auto";
  text.style.height = `${text.scrollHeight}px`;
}

text.addEventListener("input", grow);

text.addEventListener("keydown", (event) => {
  // While composing (Chinese, Japanese, …) Enter takes a suggestion.
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  composer.requestSubmit();
});

composer.addEventListener("submit", (event) => {
  event.preventDefault();
  const words = text.value.trim();
  text.focus();
  if (!words) return;
  text.value = "";
  grow();
  room.say(words);
});

view.onTakeBack = (id) => {
  text.value = [room.takeBack(id), text.value].filter(Boolean).join("\n");
  grow();
  text.focus();
};

// Names.

document.querySelector("#name-form").addEventListener("submit", (event) => {
  const name = nameField.value.trim();
  if (!name) {
    event.preventDefault();
    view.askName("Please enter a name.", "");
    return;
  }
  memory.rememberName(name);
  room.callMe(name);
});

document.querySelector("#rename").addEventListener("click", () => view.askName("", memory.name()));
document.querySelector("#name-cancel").addEventListener("click", () => dialog.close());
dialog.addEventListener("close", () => {
  // Without a name there is no way in.
  if (memory.name()) text.focus();
  else location.assign(document.body.dataset.home);
});

// Coming and going.

document.querySelector("#retry").addEventListener("click", () => connection.open());

document.querySelector("#leave").addEventListener("click", () => {
  showPeople(false);
  connection.close();
  document.querySelector("#retry").focus();
});

addEventListener("beforeunload", (event) => {
  if (room.pending) event.preventDefault();
});

// The list of people, on a phone a panel that opens and closes.

function showPeople(shown) {
  people.classList.toggle("shown", shown);
  toggle.setAttribute("aria-expanded", String(shown));
}

toggle.addEventListener("click", () => {
  showPeople(!people.classList.contains("shown"));
  if (people.classList.contains("shown")) people.focus(); // It stands far from its button otherwise.
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !people.classList.contains("shown")) return;
  showPeople(false);
  toggle.focus();
});

document.querySelector(".talk").addEventListener("click", () => showPeople(false));

// The link to this room.

const copy = document.querySelector("#copy");
const copyLabel = copy.textContent;
let copyTimer = 0;
copy.hidden = !navigator.clipboard; // Browsers offer it on https and localhost only.
copy.addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText(location.href);
    copy.textContent = "Copied";
  } catch {
    copy.textContent = "Not allowed";
  }
  clearTimeout(copyTimer);
  copyTimer = setTimeout(() => (copy.textContent = copyLabel), 2_000);
});
