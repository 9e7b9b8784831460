// A domain: what it is, and one of its parts.

import { get } from "./api.js";
import { chatView } from "./chat.js";
import { counted, element, errorPlace, words } from "./dom.js";
import { feedbackView } from "./feedback.js";
import { learnView } from "./learn.js";
import { versionsView } from "./versions.js";

const PARTS = { learn: "Learn", chat: "Chat", versions: "Versions", feedback: "Feedback" };

/** The view of the part called `part`; `refresh` reads the list of domains anew. */
export function domainView(status, name, part, address, refresh) {
  const error = errorPlace();
  const about = element("p", { class: "hint" });
  const facts = element("p", { id: "facts" });
  const place = element("div", {});
  let inner = null;
  let stopped = false;

  const tabs = element(
    "nav",
    { class: "tabs", "aria-label": "Parts of the domain" },
    Object.entries(PARTS).map(([key, label]) =>
      element(
        "a",
        { href: address(name, key), "aria-current": key === part ? "page" : null },
        label,
      ),
    ),
  );

  function show(domain) {
    about.replaceChildren(words(domain.description));
    facts.textContent = inWords(domain);
  }

  /** Reads the domain anew, for whoever changed it. */
  async function reload() {
    const domain = await get("domain", { domain: name });
    if (stopped) return domain;
    show(domain);
    refresh().catch(() => {});
    return domain;
  }

  get("domain", { domain: name })
    .then((domain) => {
      if (stopped) return;
      show(domain);
      const views = {
        learn: () => learnView(status, domain, reload),
        chat: () => chatView(domain),
        versions: () => versionsView(domain, reload),
        feedback: () => feedbackView(domain, reload),
      };
      inner = (views[part] || views.learn)();
      place.replaceChildren(inner.element);
    })
    .catch((problem) => {
      error.textContent = problem.message;
    });

  const view = element("div", {}, element("h1", {}, words(name)), about, facts, tabs, error, place);
  return {
    element: view,
    stop() {
      stopped = true;
      if (inner) inner.stop();
    },
  };
}

function inWords(domain) {
  const parts = [
    `${counted(domain.support, "support dialogue")}, ${domain.held_out} held out`,
    domain.version === null
      ? "not adapted: works from its schema and its support replies"
      : `runs on version ${domain.version}`,
  ];
  if (domain.waiting) parts.push(`${domain.waiting} wait for labels`);
  if (domain.stale) {
    const mend = domain.remade ? `version ${domain.remade} has that, see Versions` : "adapt again";
    parts.push(`changed since that version was made: ${mend}`);
  }
  return `${parts.join("; ")}.`;
}
