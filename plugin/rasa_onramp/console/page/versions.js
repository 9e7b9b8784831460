// A domain's adapter versions: figures side by side, and which one the bot runs on.

import { post, sentence } from "./api.js";
import { button, element, errorPlace, figure, moment, table } from "./dom.js";

export function versionsView(domain, reload) {
  const error = errorPlace();
  const list = element("div", { id: "versions" });

  async function act(what, version = null) {
    const asked = { domain: domain.name, do: what };
    if (version !== null) asked.version = version;
    const { warning } = await post("versions", asked);
    show(await reload());
    if (warning) error.textContent = sentence(warning);
  }

  function show(found) {
    domain = found;
    if (domain.versions.length === 0) {
      list.replaceChildren(element("p", { class: "hint" }, "There is none yet: adapt the domain."));
      return;
    }
    const some = domain.versions.find((info) => info.active);
    list.replaceChildren(
      element(
        "p",
        { class: "buttons" },
        button("Roll back", () => act("rollback"), error, { id: "rollback", disabled: !some }),
        button("Run on no version", () => act("activate"), error, {
          id: "no-version",
          disabled: !some,
        }),
      ),
      table(
        "Versions",
        ["version", "made", "support", "held out", "zero-shot JGA", "JGA", "goal accuracy", ""],
        [...domain.versions].reverse().map(row),
      ),
    );
  }

  function row(info) {
    const { before, after, support, held_out: heldOut } = info.figures;
    const badges = [info.active && "active", info.pinned && "pinned"].filter(Boolean);
    return [
      element(
        "span",
        {},
        `${info.version} `,
        badges.map((text) => element("span", { class: `badge ${text}` }, text)),
      ),
      moment(info.created_at),
      String(support ?? "–"),
      String(heldOut ?? "–"),
      figure(before && before.jga),
      figure(after && after.jga),
      figure(after && after.average_goal_accuracy),
      element(
        "span",
        { class: "buttons" },
        info.active
          ? null
          : button("Activate", () => act("activate", info.version), error, {
              "aria-label": `Activate version ${info.version}`,
            }),
        info.pinned
          ? button("Unpin", () => act("unpin", info.version), error, {
              "aria-label": `Unpin version ${info.version}`,
            })
          : button("Pin", () => act("pin", info.version), error, {
              "aria-label": `Pin version ${info.version}`,
            }),
      ),
    ];
  }

  show(domain);
  const view = element(
    "section",
    { class: "card" },
    element("h2", {}, "Versions"),
    element(
      "p",
      {},
      "A running bot follows a switch at its next message. A pinned version is kept, and while it is active no new one ",
      "takes its place. Figures of versions compare if the held-out dialogues stayed the same.",
    ),
    error,
    list,
  );
  return { element: view, stop() {} };
}
