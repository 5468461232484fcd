// The trial next to the editor: sends messages to a saved version and reads the conversation again while an answer is expected.

import { $, clock, make, words } from "./dom.js";

const bot = $("try").dataset.bot;
const csrf = document.querySelector("meta[name=csrf]").content;
const OFTEN_MS = 500;
const SELDOM_MS = 3000;
// After this long without an answer reading slows down.
const PATIENCE_MS = 60000;

const state = { version: $("try-version").value, thread: "", said: [], asked: 0, reading: 0, turn: 0, print: "", lines: [] };

// ---- which conversation

const place = () => `try:${bot}:${state.version}`;
const fresh = () => crypto.getRandomValues(new Uint32Array(2)).reduce((word, number) => word + number.toString(36), "");

function openTalk(thread) {
  state.thread = thread ?? sessionStorage.getItem(place()) ?? fresh();
  sessionStorage.setItem(place(), state.thread);
  Object.assign(state, { said: [], lines: [], print: "" });
  clearTimeout(state.reading);
  show();
  tell("");
  read();
}

// ---- reading

async function read() {
  const { thread, version } = state;
  // The result of an older request is dropped.
  const turn = ++state.turn;
  clearTimeout(state.reading);
  const answer = await fetch(`/api/v1/bots/${bot}/try?version=${version}&thread=${thread}`).catch(() => null);
  if (turn !== state.turn) return;
  if (answer?.status === 401) {
    tell("Your session has ended. Sign in again.");
    return;
  }
  if (!answer?.ok) {
    tell("No connection; trying again …");
    state.reading = setTimeout(read, SELDOM_MS);
    return;
  }
  const talk = await answer.json();
  if (turn !== state.turn) return;
  const heard = talk.lines.filter((line) => line.side === "in").length;
  state.said = state.said.filter((line) => !(line.stored && heard > line.before));
  state.lines = talk.lines;
  show();
  const patient = performance.now() - state.asked < PATIENCE_MS;
  const waits = talk.waiting || state.said.some((line) => line.stored);
  tell(talk.typing ? "the bot is typing …" : waits ? (patient ? "waiting for an answer …" : "still no answer; is a worker running?") : "");
  if (waits) state.reading = setTimeout(read, patient ? OFTEN_MS : SELDOM_MS);
}

// ---- showing

function show() {
  const all = [...state.lines, ...state.said];
  const print = JSON.stringify(all.map((line) => [line.id, line.text, line.status, line.lost]));
  $("try-empty").hidden = all.length > 0;
  if (print === state.print) return;
  state.print = print;
  $("try-log").replaceChildren(...all.map(bubble));
  $("try-scroll").scrollTop = $("try-scroll").scrollHeight;
}

function bubble(line) {
  const mine = line.side === "in";
  const foot = line.lost
    ? make("button", { type: "button", class: "button small", onclick: () => post(line) }, "Not sent. Try again")
    : make("span", { class: "meta" }, line.status === "failed" ? "failed" : clock(line.at));
  return make("li", { class: `bubble ${mine ? "out" : "in"}${line.lost ? " lost" : ""}` },
    make("span", { class: "hidden" }, mine ? "You: " : "Bot: "), mine ? line.text : words(line.text), foot);
}

function tell(said) {
  if ($("try-state").textContent !== said) $("try-state").textContent = said;
}

// ---- sending

async function post(line) {
  const { thread, version } = state;
  line.lost = false;
  show();
  // The line's id is the key: sending it again changes nothing.
  const answer = await fetch(`/api/v1/bots/${bot}/try`, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-CSRF-Token": csrf },
    body: JSON.stringify({ text: line.text, key: line.id, thread, version: Number(version) }),
  }).catch(() => null);
  if (thread !== state.thread) return;
  line.stored = Boolean(answer?.ok);
  line.lost = !line.stored;
  if (line.lost) {
    show();
    tell(answer?.status === 401 ? "Your session has ended. Sign in again." : "");
    return;
  }
  state.asked = performance.now();
  read();
}

$("try-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("try-words").value.trim();
  if (!text) return;
  $("try-words").value = "";
  const before = state.lines.filter((line) => line.side === "in").length + state.said.length;
  const line = { id: fresh() + fresh(), side: "in", text, at: new Date().toISOString(), status: "posting", before, stored: false, lost: false };
  state.said.push(line);
  post(line);
});
$("try-version").addEventListener("change", () => { state.version = $("try-version").value; openTalk(); });
$("try-afresh").addEventListener("click", () => { openTalk(fresh()); $("try-words").focus(); });

openTalk();
// Without this script the form would load the page again, and what was typed would be lost.
for (const id of ["try-words", "try-send"]) $(id).disabled = false;
