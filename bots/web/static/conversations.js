// Keeps a list or a conversation live: loads it every two seconds while the page is visible, and shows what is new.
// Everything in the part comes from a template of the server, in which people's text is escaped.

const EVERY_MS = 2000;
// A refused answer is shown under the address of its form: go on with the address of the page itself.
if (location.pathname.endsWith("/answer")) history.replaceState(null, "", location.pathname.slice(0, -"/answer".length));

const live = document.getElementById("live");
let tag = "";

function parsed(html) {
  return new DOMParser().parseFromString(html, "text/html").body;
}

// A turn's steps and prompts are loaded when it is opened.
async function open(details) {
  if (!details.open || details.dataset.filled || !details.dataset.part) return;
  details.dataset.filled = "asked";
  try {
    const answer = await fetch(details.dataset.part);
    if (!answer.ok) throw new Error(String(answer.status));
    details.append(...parsed(await answer.text()).children);
  } catch {
    delete details.dataset.filled;
  }
}

function keep(fresh) {
  for (const old of live.querySelectorAll("details[data-key][open]")) {
    const next = fresh.querySelector(`details[data-key="${CSS.escape(old.dataset.key)}"]`);
    if (!next) continue;
    next.open = true;
    const story = old.querySelector(".story");
    // The same turn in the same state: what is open stays as it is.
    if (story && next.querySelector("summary").textContent === old.querySelector("summary").textContent) {
      next.dataset.filled = "kept";
      next.append(story);
    }
  }
}

async function ask() {
  const address = new URL(location.href);
  address.hash = "";
  address.searchParams.set("part", "1");
  const answer = await fetch(address, { headers: tag ? { "If-None-Match": tag } : {} });
  if (answer.redirected || answer.status === 401) return false;
  if (answer.status !== 200) return true;
  const first = tag === "";
  tag = answer.headers.get("ETag") ?? "";
  const fresh = parsed(await answer.text());
  const before = live.querySelector("dl.facts .pill")?.textContent;
  const focused = live.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  // Nothing moves while somebody is selecting text.
  const marked = getSelection();
  if (!first && marked && !marked.isCollapsed && live.contains(marked.anchorNode)) { tag = ""; return true; }
  keep(fresh);
  live.replaceChildren(...fresh.childNodes);
  live.querySelectorAll("details[open]").forEach(open);
  if (focused) live.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  const after = live.querySelector("dl.facts .pill")?.textContent;
  // Somebody took the conversation over, or gave it back: the buttons below are no longer right.
  if (before && after && (before === "taken") !== (after === "taken") && !document.getElementById("words")?.value) location.reload();
  return true;
}

live.addEventListener("toggle", (event) => { if (event.target instanceof HTMLDetailsElement) open(event.target); }, true);

if ("live" in live.dataset) {
  let goes = true;
  const again = async () => {
    if (!document.hidden) {
      try { goes = await ask(); } catch { /* The service does not answer for a moment: try again. */ }
    }
    if (goes) setTimeout(again, EVERY_MS);
  };
  setTimeout(again, EVERY_MS);
}
