// What people said of a domain's replies.

import { post } from "./api.js";
import { button, element, errorPlace, moment, words } from "./dom.js";

export function feedbackView(domain, reload) {
  const error = errorPlace();
  const list = element("ul", { class: "plain", id: "feedback" });

  function show(found) {
    domain = found;
    list.replaceChildren(...[...domain.feedback].reverse().map(entry));
    if (domain.feedback.length === 0) {
      list.append(
        element("li", { class: "hint" }, "None yet: give it in the chat, below a reply."),
      );
    }
  }

  function entry(each) {
    const state = each.corrected_state;
    const values =
      state && Object.entries(state.values).map(([slot, texts]) => `${slot} = ${texts[0]}`);
    const lines = [
      ["user", each.said],
      ["bot", each.reply],
      ["should be", each.corrected_reply],
      ["state", state && [state.active_intent || "no intent", ...values].join("; ")],
    ].filter(([, text]) => text);
    const remove = async () => {
      await post("feedback/remove", { domain: domain.name, id: each.id });
      show(await reload());
    };
    return element(
      "li",
      { class: "card" },
      element(
        "p",
        { class: "hint" },
        moment(each.created_at),
        each.thumb
          ? element("span", { class: "badge" }, each.thumb === "up" ? "good" : "bad")
          : null,
      ),
      element(
        "dl",
        {},
        lines.map(([name, text]) => [element("dt", {}, name), element("dd", {}, words(text))]),
      ),
      button("Remove", remove, error, {}),
    );
  }

  show(domain);
  const view = element(
    "section",
    {},
    element("h2", {}, "Feedback"),
    element(
      "p",
      {},
      "A reply that was called bad isn't said any more. Corrections are support dialogues at once, and learned when the ",
      "domain is adapted next. Read through them before that, where others may give feedback: they teach the bot.",
    ),
    error,
    list,
  );
  return { element: view, stop() {} };
}
