// A chat with one domain, or with whichever a message is routed to; the state stands beside it.

import { get, post } from "./api.js";
import { correction } from "./correction.js";
import { button, element, errorPlace, words, working } from "./dom.js";
import { showTurn } from "./state.js";

const kept = new Map(); // domain → its view: a chat goes on when one comes back to it

/** The view; `domain` null leaves routing to the bot's router. */
export function chatView(domain) {
  const key = domain === null ? null : domain.name;
  if (!kept.has(key)) kept.set(key, made(domain));
  return { element: kept.get(key), stop() {} };
}

/** Lets go of all conversations: the next person to sign in may be another. */
export function forgetChats() {
  kept.clear();
}

function made(domain) {
  const error = errorPlace();
  const said = element("div", {
    id: "said",
    role: "log",
    "aria-label": "Conversation",
    tabindex: "0",
  });
  const state = element("div", { id: "state", "aria-live": "polite" });
  const field = element("input", {
    id: "message",
    maxlength: "2000",
    autocomplete: "off",
    dir: "auto",
    placeholder: "Say something",
  });
  const submit = element("button", { type: "submit", class: "primary" }, "Send");
  const form = element(
    "form",
    { class: "composer", onsubmit: sent },
    element("label", { for: "message", class: "out-of-sight" }, "Message"),
    field,
    submit,
  );
  const controls = [field, submit];
  let chat = null;
  let began = 0; // conversations: what one is answered after the next began is let go

  function begin() {
    chat = null;
    began += 1;
    said.replaceChildren(
      element(
        "p",
        { class: "hint" },
        domain
          ? "Every message is taken to be this domain's."
          : "Each message goes to the domain that the router finds.",
      ),
    );
    state.replaceChildren(
      element("p", { class: "hint" }, "The state shows here after each message."),
    );
    error.textContent = "";
    for (const control of controls) control.disabled = false;
  }

  async function sent(event) {
    event.preventDefault();
    const text = field.value.trim();
    if (!text) return;
    const here = began;
    const mine = bubble("user", text);
    field.value = "";
    const done = await working(controls, error, async () => {
      try {
        if (chat === null) {
          const made = await post("chat", { domain: domain && domain.name });
          if (here !== began) return;
          chat = made.chat;
        }
        const answer = await post("message", { chat, text });
        if (here === began) heard(answer);
      } catch (problem) {
        if (here === began) throw problem;
      }
    }, () => here === began);
    if (here !== began) return;
    if (!done) {
      mine.remove();
      field.value = text;
    }
    if (!waits()) field.focus();
  }

  const waits = () => said.querySelector(".call form") !== null;

  function bubble(who, text) {
    const made = element(
      "div",
      { class: `said ${who}` },
      element("span", { class: "who" }, who === "user" ? "You" : "Bot"),
      words(text, { class: "text" }),
    );
    add(made);
    return made;
  }

  function add(part) {
    said.append(part);
    said.scrollTop = said.scrollHeight;
  }

  function heard({ call, turn }) {
    if (call) {
      add(asked(call));
      setTimeout(() => {
        for (const control of controls) control.disabled = true;
        said.querySelector(".call textarea").focus();
      });
      return;
    }
    state.replaceChildren(...showTurn(turn));
    if (!turn.reply) {
      add(
        element(
          "p",
          { class: "hint" },
          "It belongs to no domain of the store: the bot would answer that itself.",
        ),
      );
      return;
    }
    const reply = bubble("bot", turn.reply.text);
    reply.append(judging(turn));
    said.scrollTop = said.scrollHeight;
  }

  /** The card in which a person answers an API call in the API's place. */
  function asked(call) {
    const problem = errorPlace();
    const rows = element("textarea", {
      rows: 3,
      spellcheck: "false",
      "aria-label": "Result rows",
      placeholder: call.result_slots.map((slot) => `${slot}=…`).join(", "),
    });
    const given = Object.entries(call.parameters).map(([name, value]) => `${name} = ${value}`);
    const here = began;
    const answered = (how) => async () => {
      const heardOf = await post("answer", { chat, how, rows: how === "rows" ? rows.value : null });
      if (here !== began) return;
      form.remove();
      for (const control of controls) control.disabled = false;
      heard(heardOf);
      if (!waits()) field.focus();
    };
    const form = element(
      "form",
      { onsubmit: (event) => event.preventDefault() },
      element(
        "p",
        { class: "hint" },
        "What does the API answer? A row a line, as slot=value, slot=value, or JSON; no row: nothing is found.",
      ),
      rows,
      problem,
      element(
        "p",
        { class: "buttons" },
        button("Answer", answered("rows"), problem, { class: "primary", "data-how": "rows" }),
        button("As in a support dialogue", answered("sample"), problem, { "data-how": "sample" }),
        button("It fails", answered("failed"), problem, { "data-how": "failed" }),
      ),
    );
    return element(
      "div",
      { class: "call card" },
      element(
        "p",
        {},
        "The bot calls ",
        element("code", {}, `${call.action}(${given.join(", ")})`),
      ),
      form,
    );
  }

  /** What can be said of a reply. */
  function judging(turn) {
    const problem = errorPlace();
    const thanks = element("span", { class: "hint", role: "status" });
    const told = {}; // what is sent takes the place of what was kept of this reply before
    const judge = async (body) => {
      const all = { ...told, ...body };
      const [before, now] = [told.corrected_state, body.corrected_state];
      if (before && now)
        all.corrected_state = { ...before, ...now, values: { ...before.values, ...now.values } };
      await post("feedback", { chat, reply: turn.reply.number, ...all });
      Object.assign(told, all);
      thanks.textContent = "Kept; the next adapting learns from it.";
    };
    /** The turn as it was corrected so far. */
    const corrected = () => {
      const state = { ...turn.state, ...told.corrected_state, values: { ...turn.state.values } };
      for (const [slot, value] of Object.entries(told.corrected_state?.values || {}))
        if (value === null) delete state.values[slot];
        else state.values[slot] = [value];
      return { ...turn, state, reply: { ...turn.reply, text: told.corrected_reply || turn.reply.text } };
    };
    const place = element("div", {});
    const thumb = (label, value) =>
      button(
        label,
        async () => {
          await judge({ thumb: value });
          for (const other of thumbs)
            other.setAttribute("aria-pressed", String(other === thumbs[value === "up" ? 0 : 1]));
        },
        problem,
        { "aria-pressed": "false", "data-thumb": value },
      );
    const thumbs = [thumb("Good", "up"), thumb("Bad", "down")];
    const correct = button(
      "Correct…",
      async () => {
        const schema = await get("domain", { domain: turn.domain }); // it may be another by now
        const form = correction(
          schema,
          corrected(),
          async (body) => {
            await judge(body);
            place.replaceChildren();
          },
          () => place.replaceChildren(),
        );
        place.replaceChildren(form);
        form.querySelector("textarea").focus();
      },
      problem,
      { class: "correct" },
    );
    return element(
      "div",
      { class: "judging" },
      element("span", { class: "buttons" }, thumbs, correct),
      thanks,
      problem,
      place,
    );
  }

  begin();
  const chatting = element(
    "div",
    { class: "chat" },
    element(
      "section",
      { class: "card talk", "aria-label": "Chat" },
      said,
      error,
      form,
      element(
        "p",
        { class: "buttons" },
        element("button", { type: "button", id: "new-chat", onclick: begin }, "New chat"),
      ),
    ),
    element("section", { class: "card", "aria-label": "State" }, element("h2", {}, "State"), state),
  );
  if (domain) return chatting; // its name stands above
  return element("div", {}, element("h1", {}, "Chat with all domains"), chatting);
}
