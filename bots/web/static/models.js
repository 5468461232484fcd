// Fetches the page's live part every second while a probe is expected, and now and then afterwards. Without JavaScript a reload shows the same.
// Everything in the part comes from a template of the server, in which every value is escaped.

const live = document.getElementById("models-live");

async function load() {
  let goes = true;
  if (!document.hidden) {
    try {
      const answer = await fetch(`${live.dataset.from}?part=1`);
      goes = !answer.redirected && answer.status !== 404;
      if (goes && answer.ok) put(await answer.text());
    } catch { /* The service does not answer for a moment: try again. */ }
  }
  if (goes) setTimeout(load, live.querySelector("[data-waiting]") ? 1000 : 10000);
}

let shown = "";
// Replaced only when something changed, so that screen readers announce nothing else and no focus is lost.
function put(html) {
  if (html === shown) return;
  const fresh = new DOMParser().parseFromString(html, "text/html").body;
  shown = html;
  if (fresh.textContent.replace(/\s+/g, " ").trim() === live.textContent.replace(/\s+/g, " ").trim()) return;
  const focused = live.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  live.replaceChildren(...fresh.childNodes);
  if (focused) live.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
}

if (live) setTimeout(load, 1000);
