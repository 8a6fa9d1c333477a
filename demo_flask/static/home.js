/** The home page: fills in the name, keeps it, and lists the rooms visited. */

import * as memory from "./memory.js";

const name = document.querySelector("#name");
const room = document.querySelector("#room");

name.value = memory.name();
(name.value ? room : name).focus();

document.querySelector("form").addEventListener("submit", () => memory.rememberName(name.value.trim()));

const visited = memory.rooms();
const nav = document.querySelector("#recent");
nav.hidden = visited.length === 0;
for (const each of visited) {
  const link = document.createElement("a");
  link.href = nav.dataset.roomUrl.replace(/-$/, encodeURIComponent(each));
  link.textContent = each;
  const item = document.createElement("li");
  item.append(link);
  document.querySelector("#recent-rooms").append(item);
}
