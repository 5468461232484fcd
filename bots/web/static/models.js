// Fetches the page's live parts every second while something is expected there, and now and then afterwards. Without JavaScript a reload shows the same.
// Everything in a part comes from a template of the server, in which every value is escaped.

async function load(live) {
  let goes = true;
  if (!document.hidden) {
    try {
      const answer = await fetch(live.dataset.from);
      goes = !answer.redirected && answer.status !== 404;
      if (goes && answer.ok) put(live, await answer.text());
    } catch { /* The service does not answer for a moment: try again. */ }
  }
  if (goes) setTimeout(load, live.querySelector("[data-waiting]") ? 1000 : 10000, live);
}

const shown = new Map();
// Replaced only when something changed, so that screen readers announce nothing else and no focus is lost.
function put(live, html) {
  if (html === shown.get(live)) return;
  const fresh = new DOMParser().parseFromString(html, "text/html").body;
  shown.set(live, html);
  if (fresh.textContent.replace(/\s+/g, " ").trim() === live.textContent.replace(/\s+/g, " ").trim()) return;
  const focused = live.contains(document.activeElement) ? document.activeElement : null;
  const [id, href] = [focused?.id, focused?.getAttribute("href")];
  live.replaceChildren(...fresh.childNodes);
  const again = id ? document.getElementById(id) : href ? live.querySelector(`a[href="${CSS.escape(href)}"]`) : null;
  again?.focus({ preventScroll: true });
}

for (const live of document.querySelectorAll("[data-from]")) setTimeout(load, 1000, live);
