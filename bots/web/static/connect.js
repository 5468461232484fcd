// Asks each second how the hops stand, until all are green. Without this a reload shows the same.

import { make } from "/static/dom.js";

const live = document.getElementById("hops-live");
const STATES = { ok: "right", warn: "look", bad: "wrong", wait: "waiting" };
let shown = "";

// The page that a form was answered with holds a verify token: a reload leads to the account, which shows none.
if (location.pathname.includes("/connect/") || /\/(verify-token|register)$/.test(location.pathname)) {
  const account = live?.dataset.from.replace(/\/hops\.json$/, "");
  if (account) history.replaceState(null, "", account);
}

function draw(hops) {
  const items = hops.map((hop) =>
    make("li", { class: hop.state, "data-key": hop.key },
      make("b", {}, hop.title), " ", make("span", { class: "hidden" }, `${STATES[hop.state]}:`), " ",
      make("span", { class: "said" }, hop.words), " ", hop.mend ? make("span", { class: "soft mend" }, hop.mend) : null));
  live.querySelector("ol").replaceChildren(...items);
}

async function look() {
  let done = false;
  try {
    const answer = await fetch(live.dataset.from, { headers: { Accept: "application/json" } });
    if (answer.redirected || answer.status === 404) return;
    if (answer.ok) {
      const found = await answer.json();
      const now = JSON.stringify(found.hops);
      // Drawn only when something changed: a screen reader is told of nothing else.
      if (now !== shown) draw(found.hops);
      shown = now;
      done = found.done;
    }
  } catch { /* The service is away for a moment: the next look tells. */ }
  setTimeout(look, done || document.hidden ? 5000 : 1000);
}

if (live) look();
