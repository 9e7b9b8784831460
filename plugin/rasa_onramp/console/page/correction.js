// The form in which a person says what a reply, or the state before it, should have been.

import { button, element, errorPlace, words } from "./dom.js";

let forms = 0; // for ids of their own

/** The form; `send` gets what differs from `turn`, `cancel` is called when it is given up. */
export function correction(schema, turn, send, cancel) {
  const problem = errorPlace();
  const number = (forms += 1);
  const before = turn.state;
  const reply = element("textarea", { rows: 2, id: `reply-${number}`, dir: "auto" });
  reply.value = turn.reply.text;
  const said = reply.value.trim(); // a field holds no carriage return
  const intent = choice(
    ["", ...schema.intents.map((each) => each.name)],
    before.active_intent || "",
  );
  intent.id = `intent-${number}`;
  const slots = schema.slots.map((slot, place) => {
    const had = (before.values[slot.name] || [""])[0];
    const field = slot.values.length
      ? choice(["", ...slot.values, "dontcare"], had)
      : element("input", { dir: "auto" });
    field.value = had;
    field.id = `slot-${number}-${place}`;
    return { slot, held: field.value.trim(), field };
  });

  async function submit() {
    const body = {};
    if (reply.value.trim() !== said) body.corrected_reply = reply.value.trim();
    const state = {};
    const changed = slots.filter(({ held, field }) => field.value.trim() !== held);
    if (changed.length) {
      state.values = Object.fromEntries(
        changed.map(({ slot, field }) => [slot.name, field.value.trim() || null]),
      );
    }
    if (intent.value !== (before.active_intent || "")) state.active_intent = intent.value || null;
    if (Object.keys(state).length) body.corrected_state = state;
    if (Object.keys(body).length === 0)
      throw new Error("Nothing is changed yet: change the reply, the intent or a slot.");
    await send(body);
  }

  return element(
    "form",
    { class: "correction", onsubmit: (event) => event.preventDefault() },
    element("label", { for: reply.id }, "The reply should have been"),
    reply,
    element(
      "fieldset",
      {},
      element("legend", {}, "The state after your message should have been"),
      element("label", { for: intent.id }, "intent"),
      intent,
      slots.map(({ slot, field }) => [
        element("label", { for: field.id, title: slot.description }, words(slot.name)),
        field,
      ]),
      element("p", { class: "hint" }, "Empty: no value. dontcare: any will do."),
    ),
    problem,
    element(
      "p",
      { class: "buttons" },
      button("Send correction", submit, problem, { class: "primary" }),
      element("button", { type: "button", onclick: cancel }, "Cancel"),
    ),
  );
}

/** A list to choose from; what was there before is in it, whatever it is. */
function choice(values, now) {
  const all = values.includes(now) ? values : [...values, now];
  return element(
    "select",
    {},
    all.map((value) => element("option", { value, selected: value === now }, value || "(none)")),
  );
}
