// Signing in, the list of domains, and which view is shown: the address after # says which.

import { get, onSignOut, signIn, signOut, signedIn } from "./api.js";
import { chatView, forgetChats } from "./chat.js";
import { domainView } from "./domain.js";
import { element, errorPlace, words, working } from "./dom.js";
import { onboardView } from "./onboard.js";

const byId = (id) => document.getElementById(id);
const EVERY = 5000; // milliseconds between two looks at the list of domains

let status = null;
let domains = [];
let view = null; // what is shown: {element, stop()}
let shown = null; // the address of it
let timer = null;
let stay = 0; // rises when somebody leaves: what was asked for before is nobody's any more
let asked = 0; // how often the list of domains was asked for
let listed = null; // what the list of domains says, for as long as nothing of it changes

byId("token-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const field = byId("token");
  const done = await working([event.submitter || field], byId("token-error"), async () => {
    signIn(field.value.trim());
    await enter();
  });
  if (done) field.value = "";
});
byId("sign-out").addEventListener("click", () => signOut());
window.addEventListener("hashchange", () => signedIn() && show());
onSignOut((why) => {
  clearTimeout(timer);
  forgetChats();
  leave();
  byId("token-error").textContent = why;
});

async function enter() {
  status = await get("status");
  await refresh();
  byId("sign-in").hidden = true;
  byId("console").hidden = false;
  byId("sign-out").hidden = false;
  show();
  clearTimeout(timer);
  timer = setTimeout(again, EVERY);
}

function leave() {
  stay += 1;
  if (view) view.stop();
  view = shown = listed = null;
  byId("view").replaceChildren();
  byId("domains").replaceChildren();
  byId("console").hidden = true;
  byId("sign-out").hidden = true;
  byId("sign-in").hidden = false;
  byId("token").focus();
}

async function again() {
  const here = stay;
  try {
    if (!document.hidden) await refresh();
  } catch {
    // the bot is away for a moment; what the person does next says so
  }
  if (signedIn() && here === stay) timer = setTimeout(again, EVERY);
}

/** Reads the list of domains anew. */
async function refresh() {
  const here = stay;
  const mine = ++asked;
  const found = (await get("domains")).domains;
  if (here !== stay || mine !== asked) return; // a later answer may have come before this one
  domains = found;
  const now = JSON.stringify(domains.map((domain) => [domain.name, inAWord(domain)]));
  if (now === listed) return; // whoever is on one of the links stays there
  listed = now;
  byId("domains").replaceChildren(
    ...domains.map((domain) =>
      element(
        "li",
        {},
        element(
          "a",
          { class: "entry", href: address(domain.name), "aria-current": current(domain.name) },
          words(domain.name),
          element("span", { class: "hint" }, inAWord(domain)),
        ),
      ),
    ),
  );
  if (domains.length === 0) byId("domains").append(element("li", { class: "hint" }, "none yet"));
}

function inAWord(domain) {
  if (domain.job && domain.job.lapsed) return "adapting broke off";
  if (domain.job && domain.job.state === "running") return "adapting…";
  if (domain.job) return "waits to be adapted";
  if (domain.version === null) return "not adapted";
  return `version ${domain.version}${domain.stale ? ", changed since" : ""}`;
}

const address = (name, part = "") => `#/domain/${encodeURIComponent(name)}${part && `/${part}`}`;
const places = () => location.hash.replace(/^#\/?/, "").split("/").map(decoded);
const current = (name) => (places()[0] === "domain" && places()[1] === name ? "page" : null);

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** Shows what the address says. */
function show() {
  if (location.hash === shown) return;
  const first = shown === null;
  const [what, name, part] = places();
  if (!what) {
    location.replace(domains.length ? address(domains[0].name) : "#/onboard");
    return;
  }
  if (view) view.stop();
  shown = location.hash;
  view = chosen(what, name, part);
  byId("view").replaceChildren(view.element);
  for (const link of document.querySelectorAll("#console > nav a")) {
    const here = what === "domain" ? link.hash === address(name) : link.hash === `#/${what}`;
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${name || what} – rasa-onramp console`;
  if (!first) byId("view").focus();
}

function chosen(what, name, part) {
  if (what === "onboard") {
    return onboardView(status, async (imported) => {
      await refresh();
      location.hash = address(imported);
    });
  }
  if (what === "chat") return chatView(null);
  if (what === "domain" && name) return domainView(status, name, part || "learn", address, refresh);
  const error = errorPlace();
  error.textContent = "There is no such page.";
  return { element: error, stop() {} };
}

if (signedIn()) {
  enter().catch((problem) => {
    if (signedIn()) leave();
    byId("token-error").textContent = problem.message;
  });
} else {
  leave();
}
