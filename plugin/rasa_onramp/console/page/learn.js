// Adapting a domain, and its few-shot curve.

import { get, post } from "./api.js";
import { curveChart } from "./curve.js";
import { button, counted, element, errorPlace, figure, moment, table } from "./dom.js";

const EVERY = 1000; // milliseconds between two looks at work that goes on

export function learnView(status, domain, reload) {
  const adapting = errorPlace();
  const measuring = errorPlace();
  const job = element("div", { id: "job", role: "status" });
  const figures = element("div", { id: "figures" });
  const curve = element("div", { id: "curve" });
  const here = status.adapts_here;
  let timer = null;
  let stopped = false;
  let drawn = null; // what the curve was drawn of

  const adapt = button(
    "Adapt",
    async () => {
      const answer = await post("adapt", { domain: domain.name });
      show({ ...domain, job: answer.job, job_problem: null, adapting: here });
      look();
    },
    adapting,
    { class: "primary", id: "adapt" },
  );
  const measure = button(
    "Measure the curve",
    async () => {
      await heard(await post("curve", { domain: domain.name }));
      look();
    },
    measuring,
    { id: "measure" },
  );

  function show(found) {
    domain = found;
    showJob();
    figures.replaceChildren(...newestFigures(domain.versions));
    showCurve();
  }

  function showJob() {
    const now = domain.job;
    const failed = domain.job_problem;
    const parts = [];
    if (now === null) parts.push(element("p", { class: "hint" }, "It wasn't asked for yet."));
    else if (now.lapsed) {
      const why = "Its process is heard of no more; adapt again.";
      parts.push(element("p", { class: "error" }, why));
    } else if (now.state === "running") {
      const known = now.total !== null;
      parts.push(
        element("progress", {
          max: known ? now.total : 1,
          value: known ? now.step : null,
          "aria-label": "Adapting",
        }),
        element(
          "p",
          {},
          known
            ? `Step ${now.step} of ${now.total}, loss ${now.loss === null ? "–" : now.loss.toFixed(2)}.`
            : "It has begun.",
        ),
      );
    } else if (now.state === "queued") {
      if (now.error)
        parts.push(element("p", { class: "error" }, `The last attempt failed: ${now.error}`));
      if (here && !domain.adapting) {
        const mend = now.error ? "Adapt tries it again." : "It waits for a worker, or for Adapt.";
        parts.push(element("p", {}, mend));
      } else {
        const who = here ? "It begins in a moment." : "It waits for a worker: rasa-onramp worker.";
        parts.push(element("progress", { "aria-label": "Waiting" }), element("p", {}, who));
      }
    } else if (now.state === "failed") {
      parts.push(element("p", { class: "error" }, `It failed: ${now.error}`));
    } else {
      parts.push(element("p", { class: "done" }, now.outcome ? `Done: ${now.outcome}.` : "Done."));
    }
    if (failed && now && (now.state === "queued" || now.lapsed)) {
      parts.push(
        element("p", { class: "error" }, `The process that adapts here failed: ${failed}`),
      );
    }
    job.replaceChildren(...parts);
  }

  function showCurve() {
    const found = domain.curve;
    const now = JSON.stringify([found, domain.measuring, domain.curve_problem, domain.held_out]);
    if (now === drawn) return;
    drawn = now;
    const open = curve.querySelector("details[open]") !== null;
    const parts = [];
    if (domain.curve_problem) parts.push(element("p", { class: "error" }, domain.curve_problem));
    if (domain.measuring) {
      const done = found && !found.complete ? found.points.length : 0;
      const all = found && !found.complete ? found.wanted.length : null;
      parts.push(
        element("progress", { max: all || 1, value: all ? done : null, "aria-label": "Measuring" }),
        element("p", {}, all ? `${done} of ${all} points are measured.` : "It begins in a moment."),
      );
    }
    if (!found || (found.points.length === 0 && !domain.measuring)) {
      if (!domain.measuring) parts.push(element("p", { class: "hint" }, "It wasn't measured yet."));
    } else if (found.points.length) {
      if (found.stale)
        parts.push(element("p", { class: "hint" }, "The domain changed since it was measured."));
      if (!found.complete && !domain.measuring)
        parts.push(element("p", { class: "hint" }, "It wasn't measured to its end."));
      parts.push(
        curveChart(found),
        element(
          "p",
          { class: "hint" },
          `Of ${counted(found.held_out, "held-out dialogue")}, ${moment(found.measured_at)}.`,
        ),
        element(
          "details",
          { open },
          element("summary", {}, "As a table"),
          table(
            "Few-shot curve",
            ["support dialogues", "JGA", "average goal accuracy", "seconds to adapt"],
            found.points.map((point) => [
              String(point.shots),
              figure(point.jga),
              figure(point.average_goal_accuracy),
              point.seconds.toFixed(1),
            ]),
          ),
        ),
      );
    }
    curve.replaceChildren(...parts);
    measure.hidden = !here || domain.held_out === 0;
  }

  const adapts = () => domain.job !== null && ["queued", "running"].includes(domain.job.state);

  /** Shows how far the work is; once adapting is over, the domain is another. */
  async function heard(progress) {
    const before = adapts();
    show({ ...domain, ...progress });
    if (!before || adapts()) return;
    const anew = await reload();
    if (!stopped) show(anew);
  }

  /** Looks again while something goes on. */
  function look() {
    clearTimeout(timer);
    if (stopped || !(adapts() || domain.measuring)) return;
    timer = setTimeout(async () => {
      try {
        const progress = await get("progress", { domain: domain.name });
        if (stopped) return;
        await heard(progress);
      } catch {
        // the bot is away for a moment
      }
      look();
    }, EVERY);
  }

  const view = element(
    "div",
    { class: "columns" },
    element(
      "section",
      { class: "card" },
      element("h2", {}, "Adapt"),
      element(
        "p",
        {},
        "A few gradient steps on the support dialogues, corrections from feedback among them. The bot switches to the ",
        "result at its next message, unless that is worse on the held-out dialogues.",
      ),
      adapt,
      adapting,
      job,
      figures,
    ),
    element(
      "section",
      { class: "card" },
      element("h2", {}, "Few-shot curve"),
      element(
        "p",
        {},
        "How good the tracker is with none, a few and all of the support dialogues. It is adapted anew for each point, ",
        "which takes a minute or more in all and changes nothing in the bot.",
      ),
      measure,
      here
        ? null
        : element(
            "p",
            { class: "hint" },
            "This bot measures nothing itself; run: ",
            element("code", {}, `rasa-onramp curve ${domain.name}`),
          ),
      domain.held_out
        ? null
        : element("p", { class: "hint" }, "It needs held-out dialogues (split: held-out)."),
      measuring,
      curve,
    ),
  );
  show(domain);
  look();
  return {
    element: view,
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}

function newestFigures(versions) {
  const newest = versions[versions.length - 1];
  if (!newest) return [];
  const { before, after, support, held_out: heldOut, seconds } = newest.figures;
  const made = `Version ${newest.version}, from ${counted(support, "support dialogue")} in ${Math.round(seconds)} s`;
  const title = element("h3", {}, newest.active ? `${made}; the bot runs on it` : made);
  if (!before || !after)
    return [
      title,
      element("p", { class: "hint" }, "Without held-out dialogues it wasn't measured."),
    ];
  const names = [
    ["jga", "JGA"],
    ["average_goal_accuracy", "average goal accuracy"],
    ["intent_accuracy", "intent accuracy"],
  ];
  return [
    title,
    table(
      "Figures of the newest version",
      [`on ${counted(heldOut, "held-out dialogue")}`, "zero-shot", "adapted"],
      names.map(([key, label]) => [label, figure(before[key]), figure(after[key])]),
    ),
    element(
      "p",
      { class: "hint" },
      "JGA, joint goal accuracy: the share of messages after which every slot is right.",
    ),
  ];
}
