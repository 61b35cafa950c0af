// Who is signed in. The key itself is kept only in this page's memory, and only until it has been shown.

import { call, carry, Problem } from "./api.js";

export const session = {
  account: null, // {id, name, email, plan, created_at}
  current: null, // the session's own row
  freshKey: null, // a key that was just made: the samples are filled with it
  bases: { api_url: location.origin, cdn_url: location.origin },
};

/** Where the API and the CDN are, as clients outside see them. */
export async function locate() {
  const { api_url, cdn_url } = await call("GET", "/config.json", { anonymous: true });
  session.bases = { api_url, cdn_url };
}

/** Whether the cookie of an earlier visit still holds. Scripts cannot see it: so a visit leaves a note that there is one. */
export async function resume() {
  if (!localStorage.getItem("session")) return false;
  try {
    take(await call("GET", "/v1/session", { anonymous: true }));
    return true;
  } catch (problem) {
    if (problem.status !== 401) throw problem;
    forget();
    return false;
  }
}

/** A key becomes a session: from here on only the cookie counts. */
export async function signIn(apiKey) {
  await call("POST", "/v1/session", { body: { api_key: apiKey }, anonymous: true });
  localStorage.setItem("session", "yes");
  if (await resume()) return;
  throw new Problem({
    code: "COOKIE_NOT_KEPT",
    message: "Your browser did not keep the session",
    details: "Its cookie needs HTTPS (or, in most browsers, localhost), and cookies have to be allowed here.",
  });
}

export async function signUp({ email, name, invite }) {
  const body = invite ? { email, name, invite } : { email, name };
  const { api_key } = await call("POST", "/v1/accounts", { body, anonymous: true });
  session.freshKey = api_key;
  await signIn(api_key);
}

export async function signOut() {
  await call("DELETE", "/v1/session");
  forget();
}

export function forget() {
  Object.assign(session, { account: null, current: null, freshKey: null });
  carry(null);
  localStorage.removeItem("session");
}

function take({ account, session: current, csrf_token }) {
  Object.assign(session, { account, current });
  carry(csrf_token);
}
