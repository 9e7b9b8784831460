// Onboarding: files chosen or pasted, looked at first, then imported.

import { post } from "./api.js";
import { button, counted, element, errorPlace, table, words, working } from "./dom.js";

const EXAMPLE = `onramp: "1.0"
domain:
  name: parcel_delivery
  description: Track and reschedule parcel deliveries
  slots:
    - {name: tracking_number, description: Number on the delivery note}
    - {name: status, description: Where the parcel is}
  intents:
    - {name: track_parcel, description: Find out where a parcel is, required_slots: [tracking_number]}
  actions:
    - {name: find_parcel, description: Look up a parcel, required_slots: [tracking_number], result_slots: [status]}
dialogues:
  - id: parcel-01
    split: support
    turns:
      - user: "hi where is my parcel, its [RX4821](tracking_number)"
        intent: track_parcel
        requested: [status]
      - system: "It is [in transit](status)."
        action: find_parcel
        parameters: {tracking_number: RX4821}
        results: [{status: in transit}]
`;

/** A file's text; other encodings than UTF-8 would lose characters in silence. */
async function textOf(file) {
  const bytes = await file.arrayBuffer();
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new Error(`${file.name} isn't UTF-8; save it as UTF-8.`);
  }
}

/** The view; `imported` is called with a domain's name when it is in the store. */
export function onboardView(status, imported) {
  let chosen = []; // {name, text} of files
  let changes = 0; // how often something was chosen or typed

  const error = errorPlace();
  const found = element("div", { id: "found", "aria-live": "polite" });
  const list = element("ul", { id: "files" });
  const picker = element("input", {
    id: "picker",
    type: "file",
    multiple: true,
    accept: ".yml,.yaml,.json",
    onchange: () => working([picker], error, add),
  });
  const kind = element(
    "select",
    { id: "kind", onchange: changed },
    element("option", { value: "dialogues.yml" }, "a file in our YAML format"),
    element("option", { value: "sgd" }, "SGD's JSON: schema.json and dialogues"),
  );
  const yaml = pasted("yaml", "Dialogues in YAML", EXAMPLE, 12);
  const schema = pasted("sgd-schema", "schema.json", '[{"service_name": …}]', 7);
  const dialogues = pasted("sgd-dialogues", "dialogues_001.json", '[{"dialogue_id": …}]', 7);
  const sgd = element("div", { hidden: true }, schema.place, dialogues.place);
  const look = button("Check", () => send(), error, { class: "primary", id: "check" });

  async function add() {
    const files = [...picker.files];
    picker.value = ""; // a file that is mended can be chosen again
    const texts = await Promise.all(files.map(textOf));
    const names = new Set(files.map((file) => file.name));
    chosen = chosen.filter((file) => !names.has(file.name));
    chosen.push(...files.map((file, place) => ({ name: file.name, text: texts[place] })));
    changed();
  }

  function changed() {
    const isSgd = kind.value === "sgd";
    yaml.place.hidden = isSgd;
    sgd.hidden = !isSgd;
    error.textContent = "";
    forget();
    list.replaceChildren(
      ...chosen.map((file) =>
        element(
          "li",
          {},
          words(file.name),
          ` (${counted(file.text.split("\n").length, "line")}) `,
          element(
            "button",
            {
              type: "button",
              "aria-label": `Leave out ${file.name}`,
              onclick: () => {
                chosen = chosen.filter((other) => other !== file);
                changed();
              },
            },
            "Leave out",
          ),
        ),
      ),
    );
  }

  /** What was found isn't of what is there any more. */
  function forget() {
    changes += 1;
    found.replaceChildren();
  }

  function files() {
    const given = kind.value === "sgd" ? [schema, dialogues] : [yaml];
    const typed = given.filter((each) => each.field.value.trim());
    const all = [...chosen, ...typed.map((each) => ({ name: each.name, text: each.field.value }))];
    const weight = new Blob([JSON.stringify(all)]).size;
    if (weight > status.most_bytes - 1024) {
      const most = Math.floor(status.most_bytes / 2 ** 20);
      throw new Error(`That is more than ${most} MB. Import larger corpora by rasa-onramp import.`);
    }
    return all;
  }

  /** Has what is there checked; or `checked`, which was, imported. */
  async function send(checked = null) {
    const before = changes;
    found.replaceChildren();
    for (const each of [yaml, schema, dialogues]) each.unmark();
    try {
      const sent = checked || files();
      const report = await post("import", { files: sent, dry_run: !checked });
      if (checked) await imported(report.domains[0].name);
      else if (before === changes) found.replaceChildren(preview(report, sent));
    } catch (problem) {
      if (!checked && before !== changes) return; // it is about what was there before
      const place = [yaml, schema, dialogues].find((each) =>
        problem.message.startsWith(`${each.name}:`),
      );
      if (problem.line && place) place.mark(problem.line);
      setTimeout(() => error.scrollIntoView({ block: "nearest" }));
      throw problem;
    }
  }

  function preview(report, checked) {
    const counts = [
      [report.added, "new"],
      [report.replaced, "replaced"],
      [report.unchanged, "there already"],
      [report.kept, "kept as labelled"],
    ].filter(([count]) => count);
    const waiting = report.domains.filter((domain) => domain.waiting);
    const few = report.domains.find((domain) => domain.support === 0);
    const unmeasured = report.domains.find((domain) => domain.held_out === 0);
    return element(
      "section",
      { class: "card" },
      element("h2", {}, "This would be imported"),
      table(
        "What would be imported",
        ["domain", "slots", "intents", "API actions", "support", "held out"],
        report.domains.map((domain) => [
          element(
            "span",
            {},
            words(domain.name),
            domain.new_schema ? element("span", { class: "badge" }, "new schema") : null,
          ),
          String(domain.slots),
          String(domain.intents),
          String(domain.actions),
          String(domain.support),
          String(domain.held_out),
        ]),
      ),
      element(
        "p",
        {},
        counts.length
          ? `Dialogues: ${counts.map((each) => each.join(" ")).join(", ")}.`
          : "It holds no dialogues.",
      ),
      ...waiting.map((domain) =>
        element(
          "p",
          { class: "hint" },
          `Not learned from, as no values, intents or requests are named: ${counted(domain.waiting, "dialogue")} of `,
          words(domain.name),
          ". Name them, or label what was imported by rasa-onramp label.",
        ),
      ),
      ...report.warnings.map((warning) => element("p", { class: "hint" }, words(warning))),
      few
        ? element(
            "p",
            { class: "hint" },
            "Without support dialogues a domain works from its schema alone; about five make it good.",
          )
        : null,
      unmeasured
        ? element(
            "p",
            { class: "hint" },
            "Without held-out dialogues (split: held-out) nothing can be measured, and no worse version be noticed.",
          )
        : null,
      button("Import", () => send(checked), error, { class: "primary", id: "import" }),
    );
  }

  const view = element(
    "div",
    {},
    element("h1", {}, "Onboard a domain"),
    element(
      "p",
      {},
      "Describe the domain and give it about five dialogues (split: support) to learn from, and a few more ",
      "(split: held-out) to measure with. Nothing is imported before you have seen what it would be.",
    ),
    element(
      "section",
      { class: "card" },
      element("label", { for: "picker" }, "Choose files"),
      picker,
      element(
        "p",
        { class: "hint" },
        "Our YAML (.yml), or schema.json and dialogues_001.json… of a folder in SGD's format.",
      ),
      list,
      element("label", { for: "kind" }, "or paste"),
      kind,
      yaml.place,
      sgd,
      element("p", {}, look),
      error,
    ),
    found,
  );
  return { element: view, stop() {} };

  function pasted(id, label, placeholder, rows) {
    const field = element("textarea", {
      id,
      rows,
      placeholder,
      spellcheck: "false",
      wrap: "off",
      dir: "ltr",
      oninput: forget,
    });
    const place = element("div", {}, element("label", { for: id }, label), field);
    const name = id === "yaml" ? "pasted.yml" : label;
    return {
      name,
      field,
      place,
      mark(line) {
        const lines = field.value.split("\n");
        const start = lines.slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0);
        field.setAttribute("aria-invalid", "true");
        field.focus();
        field.setSelectionRange(start, start + (lines[line - 1] || "").length);
        field.scrollTop = (field.scrollHeight / lines.length) * Math.max(0, line - 3);
      },
      unmark() {
        field.removeAttribute("aria-invalid");
      },
    };
  }
}
