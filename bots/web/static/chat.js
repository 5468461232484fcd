// The phone. It shows the conversation as Postgres has it; between two reads it adds dots and the growing answer.

import { $, clock, make, ticks, words } from "./dom.js";
import { tell } from "./happened.js";
import { attached, detach, pictures, watchForPictures } from "./pictures.js";
import { watchForVoice } from "./voice.js";

const NAMES = ["Ada", "Bruno", "Chiara", "Dmitri", "Elif", "Farid", "Greta", "Hana", "Ines", "Jonas", "Keiko", "Luz", "Marta", "Noor",
  "Otto", "Priya", "Quim", "Rosa", "Sven", "Tariq", "Uma", "Vera", "Wanda", "Xavi", "Yara", "Zoe"];
// After this long without any event the stream is opened again.
const SILENT_MS = 30000;

const state = { slug: "", name: "", contacts: [], talk: null, posting: [], growing: null, typing: false, story: null, told: "", seen: new Map(), version: 0 };
let source = null;
let heard = Date.now();
let reopen = 0;

// ---- contacts

const slugOf = (name) => `${name.toLowerCase()}-${crypto.getRandomValues(new Uint32Array(1))[0].toString(36).slice(0, 4)}`;
const remembered = () => { try { return JSON.parse(localStorage.getItem("contacts") ?? "{}"); } catch { return {}; } };
const remember = (slug, name) => localStorage.setItem("contacts", JSON.stringify({ ...remembered(), [slug]: name }));
const fits = (slug) => /^[a-z0-9][a-z0-9-]{0,63}$/.test(slug);

function newContact() {
  const taken = new Set(state.contacts.map((contact) => contact.name));
  const name = NAMES.find((candidate) => !taken.has(candidate)) ?? `Guest ${state.contacts.length + 1}`;
  const slug = slugOf(name.replace(/\W/g, ""));
  remember(slug, name);
  state.contacts.unshift({ slug, name });
  location.hash = slug;
}

async function loadContacts() {
  const answer = await fetch("/chat/contacts").catch(() => null);
  if (!answer?.ok) return;
  const stored = await answer.json();
  const known = new Set(stored.map((contact) => contact.slug));
  state.contacts = [...state.contacts.filter((contact) => !known.has(contact.slug)), ...stored];
  showContacts();
}

function face(name) {
  const sum = [...name].reduce((total, letter) => total + letter.codePointAt(0), 0);
  return { class: `face hue-${sum % 7}`, text: ([...name][0] ?? "?").toUpperCase() };
}

function showContacts() {
  $("contacts").replaceChildren(...state.contacts.map((contact) => {
    const { class: style, text } = face(contact.name);
    return make("li", {}, make("button", {
      type: "button", "aria-current": contact.slug === state.slug ? "true" : null, "data-slug": contact.slug,
      onclick: () => { location.hash = contact.slug; },
    }, make("span", { class: style, "aria-hidden": "true" }, text), make("span", { class: "label" }, contact.name)));
  }));
}

function switchTo(slug) {
  const contact = state.contacts.find((candidate) => candidate.slug === slug) ?? { slug, name: remembered()[slug] ?? slug };
  if (!state.contacts.includes(contact)) state.contacts.unshift(contact);
  Object.assign(state, { slug, name: contact.name, talk: null, posting: [], growing: null, typing: false, story: null, told: "", seen: new Map(), version: state.version + 1 });
  localStorage.setItem("last", slug);
  const { class: style, text } = face(contact.name);
  $("face").className = style;
  $("face").textContent = text;
  $("name").textContent = contact.name;
  detach();
  $("log").replaceChildren();
  $("story").replaceChildren(make("p", { class: "empty" }, "Write a message; each step of the answer will be shown here."));
  document.title = `${contact.name} · Chinwag`;
  showContacts();
  showWork();
  listen();
  // Until it is known who speaks, a message could not be sent.
  if ($("words").disabled) {
    $("words").disabled = false;
    if (matchMedia("(pointer: fine)").matches) $("words").focus();
  }
}

// ---- the live stream

function listen() {
  source?.close();
  clearTimeout(reopen);
  heard = Date.now();
  const stream = new EventSource(`/chat/events?contact=${encodeURIComponent(state.slug)}`);
  source = stream;
  const on = (name, act) => stream.addEventListener(name, (event) => {
    if (stream !== source) return;
    heard = Date.now();
    act(JSON.parse(event.data));
  });
  on("talk", (talk) => { connected(true); showTalk(talk); });
  on("typing", () => { state.typing = true; showWork(); });
  on("partial", (partial) => { state.growing = partial; state.typing = true; showWork(); });
  on("model", ({ line }) => { $("model").textContent = line; $("model").hidden = !line; });
  on("ping", () => connected(true));
  on("unavailable", () => banner("The database does not answer; trying again …"));
  stream.onopen = () => { if (stream === source) connected(true); };
  stream.onerror = () => {
    if (stream !== source) return;
    connected(false);
    if (stream.readyState === EventSource.CLOSED) reopen = setTimeout(listen, 1500);
  };
}

function banner(text) {
  if ($("banner").textContent !== text) $("banner").textContent = text;
  $("banner").hidden = !text;
}

function connected(yes) {
  banner(yes ? "" : "Connection lost, reconnecting …");
  if (yes) state.posting.filter((line) => line.failed && !line.why).forEach(post);
}

setInterval(() => { if (source && Date.now() - heard > SILENT_MS) { connected(false); listen(); } }, 5000);

// ---- the conversation

function showTalk(talk) {
  state.talk = talk;
  state.typing = talk.is_typing;
  // A turn that nobody works on any more has no half answer to show: the next try begins a new one.
  if (!talk.turn || !talk.is_typing || (state.growing && state.growing.turn !== talk.turn)) state.growing = null;
  const stored = talk.lines.filter((line) => line.side === "in").length;
  state.posting = state.posting.filter((line) => !(line.stored && stored > line.before));
  showLines();
  showWork();
  report(talk.lines);
  showStory();
  if (talk.lines.length && !state.contacts.some((contact) => contact.slug === state.slug && contact.id)) loadContacts();
}

function showLines() {
  const log = $("log");
  const old = new Map([...log.children].map((row) => [row.dataset.id, row]));
  const lines = [...(state.talk?.lines ?? []), ...state.posting];
  const rows = [];
  lines.forEach((line, index) => {
    const before = lines[index - 1];
    if (before?.conversation && line.conversation && before.conversation !== line.conversation) rows.push(divider(line, old));
    const print = JSON.stringify([line.status, line.failed, line.turn, line.text.length, before?.side, state.story, line.why, line.pictures]);
    const kept = old.get(line.id);
    rows.push(kept?.dataset.print === print ? kept : bubble(line, print, before?.side !== line.side));
  });
  if (!rows.length) rows.push(old.get("welcome") ?? welcome());
  const follow = nearEnd();
  rows.forEach((row, index) => { if (log.children[index] !== row) log.insertBefore(row, log.children[index] ?? null); });
  while (log.children.length > rows.length) log.lastChild.remove();
  if (follow) toEnd();
}

const divider = (line, old) => old.get(`new-${line.conversation}`)
  ?? make("div", { class: "divider", "data-id": `new-${line.conversation}` }, "New conversation");
const welcome = () => make("div", { class: "welcome", "data-id": "welcome" }, make("strong", {}, `You are ${state.name}`),
  "Write a first message. Try “My name is Marta and I live in Porto”, then “/reset”, then “What is my name?”");

function bubble(line, print, first) {
  const mine = line.side === "in";
  const body = line.supported === false || line.kind !== "message" ? make("div", { class: "words" }, make("em", { class: "kind" }, `[${line.kind === "message" ? line.content_type : line.kind}] `), line.text) : words(line.text);
  const foot = make("div", { class: "foot" });
  if (line.why) foot.append(make("span", { class: "again" }, `Not sent: ${line.why}`));
  else if (line.failed) foot.append(make("button", { class: "again", type: "button", onclick: () => post(line) }, "Not sent. Try again"));
  if (!mine && line.turn) {
    foot.append(make("button", { type: "button", class: "why", "aria-pressed": String(state.story === line.turn), onclick: () => pick(line.turn) }, "what happened"));
  }
  foot.append(make("time", { datetime: line.at }, clock(line.at)), ticks(line.status));
  return make("div", { class: `row ${mine ? "out" : "in"}${first ? " first" : ""}`, "data-id": line.id, "data-print": print },
    make("div", { class: "bubble" }, make("span", { class: "hidden" }, mine ? `${state.name}: ` : "Bot: "), pictures(line, state.slug), line.text || !line.pictures?.length ? body : null, foot));
}

function showWork() {
  const follow = nearEnd();
  const grown = state.growing?.text ?? "";
  $("growing").hidden = !grown;
  // Emptied when it is hidden: another contact's page must not hold these words.
  $("growing").querySelector(".words").replaceWith(words(grown));
  $("dots").hidden = !state.typing || Boolean(grown);
  const said = state.typing || grown ? "the bot is typing …" : "the bot answers here";
  if ($("presence").textContent !== said) $("presence").textContent = said;
  if (follow) toEnd();
}

const nearEnd = () => $("scroll").scrollHeight - $("scroll").scrollTop - $("scroll").clientHeight < 120;
const toEnd = () => { $("scroll").scrollTop = $("scroll").scrollHeight; };

// ---- sending and reading

async function send(url, value) {
  return fetch(url, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(value) }).catch(() => null);
}

function say(text, picture, recording) {
  const shown = picture ? [{ id: "", state: "here", canvas: picture.canvas }] : recording ? [{ id: "", kind: "audio" }] : [];
  const line = {
    id: crypto.randomUUID(), side: "in", kind: "message", supported: true, text, at: new Date().toISOString(), status: "posting",
    before: (state.talk?.lines ?? []).filter((one) => one.side === "in").length + state.posting.length, failed: false, stored: false,
    why: "", content_type: picture ? "image" : recording ? "audio" : "text", picture: picture?.base64, recording, pictures: shown,
  };
  state.posting.push(line);
  showLines();
  toEnd();
  post(line);
}

async function post(line) {
  const { slug, name, version } = state;
  line.failed = false;
  // The line's id is the key: a repeated post changes nothing.
  const answer = await send("/chat/messages", { contact: slug, key: line.id, text: line.text, name, ...(line.picture ? { picture: line.picture } : {}), ...(line.recording ? { recording: line.recording } : {}) });
  if (version !== state.version) return;
  // A refused message is not sent again.
  line.why = [413, 422].includes(answer?.status) ? (await answer.json()).error : "";
  line.stored = Boolean(answer?.ok);
  line.failed = !line.stored;
  if (line.stored) line.status = "sent";
  showLines();
}

// A message is delivered once it is shown here, and read once this page is visible.
async function report(lines) {
  const { slug, seen, version } = state;
  const looked = document.visibilityState === "visible";
  const statuses = [];
  for (const line of lines) {
    if (line.side !== "out" || !line.external_id || !["accepted", "sent", "delivered"].includes(line.status)) continue;
    const done = seen.get(line.external_id);
    if (!done && line.status !== "delivered") statuses.push({ external_id: line.external_id, status: "delivered" });
    else if (looked && line.status === "delivered" && done !== "read") statuses.push({ external_id: line.external_id, status: "read" });
  }
  if (!statuses.length) return;
  statuses.forEach((one) => seen.set(one.external_id, one.status));
  const answer = await send("/chat/statuses", { contact: slug, statuses });
  if (!answer?.ok && version === state.version) statuses.forEach((one) => seen.delete(one.external_id));
}
document.addEventListener("visibilitychange", () => { if (state.talk) report(state.talk.lines); });

// ---- what happened

function pick(turn) {
  state.story = turn;
  unfold(true);
  showLines();
  showStory();
}

async function showStory() {
  if ($("toggle").getAttribute("aria-expanded") !== "true") return;
  const turn = state.story ?? state.talk?.turn ?? state.talk?.lines.findLast((line) => line.turn)?.turn;
  if (!turn) return;
  const { slug, version } = state;
  const answer = await fetch(`/chat/turns/${turn}?contact=${encodeURIComponent(slug)}`).catch(() => null);
  if (!answer?.ok || version !== state.version) return;
  const print = await answer.text();
  if (version !== state.version || state.told === print) return;
  const top = $("story").scrollTop;
  state.told = print;
  $("story").replaceChildren(...tell(JSON.parse(print)));
  $("story").scrollTop = top;
}

function unfold(open) {
  $("toggle").setAttribute("aria-expanded", String(open));
  $("happened").hidden = !open;
  document.querySelector(".stage").classList.toggle("folded", !open);
  localStorage.setItem("unfolded", String(open));
  if (open) showStory();
}

// ---- events of the page

$("compose").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("words").value.trim(), picture = attached();
  if (!text && !picture) return;
  state.story = null;
  $("words").value = "";
  detach();
  say(text, picture);
});
$("words").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    $("compose").requestSubmit();
  }
});
const speak = (recording) => { state.story = null; say("", null, recording); };
watchForPictures(banner, speak);
watchForVoice(speak, banner);
$("new-contact").addEventListener("click", () => { newContact(); $("words").focus(); });
$("toggle").addEventListener("click", () => unfold($("toggle").getAttribute("aria-expanded") !== "true"));
$("close").addEventListener("click", () => { unfold(false); $("toggle").focus(); });
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !$("happened").hidden && matchMedia("(max-width: 1100px)").matches) { unfold(false); $("toggle").focus(); }
});
addEventListener("hashchange", () => { const slug = location.hash.slice(1); if (fits(slug) && slug !== state.slug) switchTo(slug); });

async function start() {
  const stored = localStorage.getItem("unfolded");
  unfold(stored === null ? matchMedia("(min-width: 1101px)").matches : stored === "true" && matchMedia("(min-width: 701px)").matches);
  await loadContacts();
  const slug = location.hash.slice(1) || localStorage.getItem("last") || state.contacts[0]?.slug || "";
  if (!fits(slug)) newContact();
  else if (location.hash.slice(1) === slug) switchTo(slug);
  else location.hash = slug;
}
start();
