// Elements made of texts: nothing that a person or a dialogue says is ever read as markup.

/** An element with attributes, listeners (`onclick`, …) and children: elements, texts, or nothing. */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : String(value));
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return made;
}

/** What somebody said, in the direction that its language is written in. */
export function words(text, attributes = {}) {
  return element("bdi", { dir: "auto", ...attributes }, text);
}

/** A button that does something which takes a while; what goes wrong is said in `error`. */
export function button(label, does, error, attributes = {}) {
  const made = element("button", { type: "button", ...attributes }, label);
  made.addEventListener("click", () => working([made], error, does));
  return made;
}

/** Does something with `controls` switched off; what goes wrong is said in the element `error`. */
export async function working(controls, error, does, concerned = () => true) {
  error.textContent = "";
  for (const control of controls) control.disabled = true;
  try {
    await does();
    return true;
  } catch (problem) {
    error.textContent = problem.message;
    return false;
  } finally {
    if (concerned()) for (const control of controls) control.disabled = false;
  }
}

/** A place where errors are said, and read out. */
export function errorPlace() {
  return element("p", { class: "error", role: "alert" });
}

/** A figure between 0 and 1 with three digits, or a dash. */
export function figure(value) {
  return typeof value === "number" ? value.toFixed(3) : "–";
}

/** "1 dialogue", "2 dialogues". */
export function counted(number, thing) {
  return `${number} ${thing}${number === 1 ? "" : "s"}`;
}

/** A moment as people here write it. */
export function moment(text) {
  return text
    ? new Date(text).toLocaleString([], { dateStyle: "medium", timeStyle: "short" })
    : "never";
}

/** A table that scrolls by itself where it is too wide. `rows` are lists of cells. */
export function table(caption, header, rows) {
  const head = header.map((title) => element("th", { scope: "col" }, title));
  return element(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    element(
      "table",
      {},
      element("thead", {}, element("tr", {}, head)),
      element(
        "tbody",
        {},
        rows.map((cells) =>
          element(
            "tr",
            {},
            cells.map((cell) => element("td", {}, cell)),
          ),
        ),
      ),
    ),
  );
}
