// Requests to the bot. The token is in this tab's memory and session storage, and nowhere else.

const KEY = "onramp-console-token";

let token = stored();
let lost = () => {};

export class ApiError extends Error {
  constructor(message, status, line = null) {
    super(message);
    this.status = status;
    this.line = line;
  }
}

export const get = (path, query = {}) => send("GET", `${path}?${new URLSearchParams(query)}`);
export const post = (path, body) => send("POST", path, JSON.stringify(body));

export const signedIn = () => token !== "";

/** Calls `handler` with what to say when the bot doesn't take the token any more. */
export function onSignOut(handler) {
  lost = handler;
}

export function signIn(text) {
  if (!/^[\x21-\x7e]+$/.test(text))
    throw new ApiError("A token has neither blanks nor accents.", 401);
  token = text;
  keep();
}

export function signOut(why = "") {
  token = "";
  keep();
  lost(why);
}

async function send(method, path, body) {
  const request = {
    method,
    body,
    headers: { Authorization: `Bearer ${token}` },
    cache: "no-store",
    credentials: "omit",
    redirect: "error",
    referrerPolicy: "no-referrer",
  };
  let response;
  try {
    response = await fetch(`api/${path}`, request);
  } catch {
    throw new ApiError("The bot doesn't answer. Is it running?", 0);
  }
  const answer = await response.json().catch(() => null);
  if (response.ok && answer !== null) return answer;
  if (response.status === 401) {
    const why = "The bot doesn't take this token.";
    signOut(why);
    throw new ApiError(why, 401);
  }
  const why = sentence(
    (answer && answer.error) || `the bot answered with status ${response.status}`,
  );
  throw new ApiError(why, response.status, answer && answer.line);
}

/** What the bot says in one line, as a sentence. */
export function sentence(text) {
  // a message may begin with a file's name, which stays as it is
  const whole = /^[a-z']+ /.test(text) ? text.charAt(0).toUpperCase() + text.slice(1) : text;
  return /[.!?`]$/.test(whole) ? whole : `${whole}.`;
}

function stored() {
  try {
    return sessionStorage.getItem(KEY) || "";
  } catch {
    return ""; // a browser that keeps nothing
  }
}

function keep() {
  try {
    if (token) sessionStorage.setItem(KEY, token);
    else sessionStorage.removeItem(KEY);
  } catch {
    // the token is in memory still
  }
}
