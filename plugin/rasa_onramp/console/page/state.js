// What a message was understood as: the state after it, and the API call that was made.

import { element, figure, table, words } from "./dom.js";

/** The parts of the state panel. */
export function showTurn(turn) {
  const parts = [];
  if (turn.domain === null) {
    parts.push(facts([["Domain", "none: it is like nothing that they are about"]]));
    return [...parts, ...scores(turn)];
  }
  const version = turn.version === null ? "not adapted" : `version ${turn.version}`;
  const state = turn.state;
  const about = [
    ["Domain", [words(turn.domain), ` ${turn.score.toFixed(2)}, ${version}`]],
    [
      "Intent",
      state.active_intent
        ? [words(state.active_intent), ` ${turn.intent_confidence.toFixed(2)}`]
        : "none",
    ],
  ];
  if (!turn.in_scope) about.push(["Scope", "the message says nothing to this domain"]);
  if (state.requested_slots.length) about.push(["Asks for", state.requested_slots.join(", ")]);
  parts.push(facts(about));
  const slots = Object.entries(state.values);
  const cleared = turn.changes.filter((slot) => !(slot in state.values));
  if (slots.length) {
    parts.push(
      table(
        "Slots",
        ["slot", "value", "sure"],
        slots.map(([slot, values]) => [
          element(
            "span",
            {},
            words(slot),
            turn.changes.includes(slot) ? element("span", { class: "badge active" }, "new") : null,
          ),
          words(values[0]),
          slot in turn.confidence ? figure(turn.confidence[slot]) : "",
        ]),
      ),
    );
  } else {
    parts.push(element("p", { class: "hint" }, "No slot has a value."));
  }
  if (cleared.length) parts.push(element("p", {}, `Cleared: ${cleared.join(", ")}`));
  parts.push(...call(turn));
  if (turn.reply) {
    const source =
      turn.reply.source === "model" ? "written by the language model" : `from ${turn.reply.source}`;
    parts.push(facts([["Reply", `${source}, ${turn.reply.confidence.toFixed(2)}`]]));
  }
  return parts;
}

function call(turn) {
  if (turn.action === null) return [];
  const given = Object.entries(turn.parameters).map(([name, value]) => `${name} = ${value}`);
  const parts = [facts([["API call", element("code", {}, `${turn.action}(${given.join(", ")})`)]])];
  if (turn.results === null) return [...parts, element("p", { class: "hint" }, "It failed.")];
  if (turn.results.length === 0)
    return [...parts, element("p", { class: "hint" }, "It found nothing.")];
  const names = [...new Set(turn.results.flatMap((row) => Object.keys(row)))];
  return [
    ...parts,
    table(
      "Results",
      names,
      turn.results.map((row) => names.map((name) => words(row[name] ?? ""))),
    ),
  ];
}

function scores(turn) {
  const all = Object.entries(turn.scores);
  if (all.length === 0) return [];
  return [
    table(
      "Routing",
      ["domain", "score"],
      all.map(([name, score]) => [words(name), figure(score)]),
    ),
  ];
}

function facts(pairs) {
  return element(
    "dl",
    {},
    pairs.map(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]),
  );
}
