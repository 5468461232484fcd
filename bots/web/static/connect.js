// Loads an account's set-up steps each second until all are done. Without JavaScript a reload shows the same.

import { make } from "/static/dom.js";
import { timed } from "/static/times.js";

const live = document.getElementById("setup-live");
const STATES = { ok: "done", warn: "warning", bad: "problem", wait: "waiting" };
let shown = "";

// The page that answers a form contains a verify token: a reload leads to the account, which shows none.
if (location.pathname.includes("/connect/") || /\/(verify-token|register)$/.test(location.pathname)) {
  const account = live?.dataset.from.replace(/\/setup_steps\.json$/, "");
  if (account) history.replaceState(null, "", account);
}

function draw(steps) {
  const items = steps.map((step) =>
    make("li", { class: step.state, "data-key": step.key },
      make("b", {}, step.title), " ", make("span", { class: "hidden" }, `${STATES[step.state]}:`), " ",
      make("span", { class: "said" }, ...timed(step.message)), " ", step.fix ? make("span", { class: "soft fix" }, step.fix) : null));
  live.querySelector("ol").replaceChildren(...items);
}

async function load() {
  let done = false;
  try {
    const answer = await fetch(live.dataset.from, { headers: { Accept: "application/json" } });
    if (answer.redirected || answer.status === 404) return;
    if (answer.ok) {
      const found = await answer.json();
      const now = JSON.stringify(found.setup_steps);
      // Drawn only when something changed, so that a screen reader announces nothing else.
      if (now !== shown) draw(found.setup_steps);
      shown = now;
      done = found.done;
    }
  } catch { /* The service does not answer for a moment: try again. */ }
  setTimeout(load, done || document.hidden ? 5000 : 1000);
}

if (live) load();
