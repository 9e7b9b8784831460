// Runs a judging page's script without a browser: node judging_page.js PAGE.html ACTION...
// An action is a key ("1"), "click ID", "name TEXT" or "reload". Prints what is shown and saved.
"use strict";
const fs = require("fs");
const vm = require("vm");

const [path, ...actions] = process.argv.slice(2);
const page = fs.readFileSync(path, "utf8");
const [data, script] = [...page.matchAll(/<script[^>]*>([^]*?)<\/script>/g)].map((found) => found[1]);
const stored = new Map();
const files = [];

class Element {
  constructor() {
    Object.assign(this, { children: [], handlers: {}, dataset: {}, attributes: {} });
    Object.assign(this, { textContent: "", value: "" });
  }
  append(...children) { this.children.push(...children); }
  replaceChildren(...children) { this.children = children; }
  setAttribute(name, value) { this.attributes[name] = value; }
  addEventListener(kind, handler) { this.handlers[kind] = handler; }
  click() { if (this.handlers.click && !this.disabled) this.handlers.click({ target: this }); }
  remove() {}
}

let elements, keys;
function load() {
  elements = {};
  keys = new Element();
  const get = (id) => (elements[id] = elements[id] || new Element());
  get("data").textContent = data;
  const buttons = ["left", "tie", "right"].map((pick) => {
    const button = get(pick + "-button");
    button.dataset.pick = pick;
    return button;
  });
  vm.runInNewContext(script, {
    document: {
      body: new Element(),
      getElementById: get,
      querySelectorAll: () => buttons,
      createElement: () => new Element(),
      addEventListener: (kind, handler) => keys.addEventListener(kind, handler),
    },
    localStorage: {
      getItem: (key) => stored.get(key) || null,
      setItem: (key, value) => stored.set(key, value),
    },
    addEventListener: () => {},
    setTimeout: () => {},
    Blob: class { constructor(parts) { files.push(parts.join("")); } },
    URL: { createObjectURL: () => "blob:", revokeObjectURL: () => {} },
  });
}

load();
const shown = [];
for (const action of [...actions, "end"]) {
  const { count, service, history, left, right, notice } = elements;
  shown.push({
    count: count.textContent,
    service: service.textContent,
    history: history.children.map((said) => said.children.map((part) => part.textContent)),
    directions: history.children.map((said) => said.children[1].dir),
    left: left.textContent,
    right: right.textContent,
    notice: notice.textContent,
    pressed: ["left", "tie", "right"].filter(
      (pick) => elements[pick + "-button"].attributes["aria-pressed"] === "true"),
  });
  const [verb, ...rest] = action.split(" ");
  if (verb === "click") elements[rest[0]].click();
  else if (verb === "reload") load();
  else if (verb === "name") {
    elements.judge.value = rest.join(" ");
    elements.judge.handlers.input();
  } else if (verb !== "end") keys.handlers.keydown({ key: verb, target: keys });
}
console.log(JSON.stringify({ shown, files }));
