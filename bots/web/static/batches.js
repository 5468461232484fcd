// The live parts of the batch pages: submitting a file, and a batch's progress.

import { $, make } from "/static/dom.js";

const csrf = () => document.querySelector("meta[name=csrf]")?.content ?? "";
const say = (id, text) => { if ($(id)) $(id).textContent = text; };

// Sending a file

const form = $("submit");
if (form) {
  $("with-file").hidden = false;
  form.addEventListener("submit", (event) => {
    const file = $("file").files[0];
    if (!file) return; // Pasted lines are sent as a plain form.
    event.preventDefault();
    send(file);
  });
}

// fetch does not report how much was sent; XMLHttpRequest does. Both read the file from disk as they send it.
function send(file) {
  const query = new URLSearchParams({ bot: $("bot").value, name: file.name.slice(0, 200) });
  if ($("key").value.trim()) query.set("idempotency_key", $("key").value.trim());
  const request = new XMLHttpRequest();
  request.open("POST", `/api/v1/batches?${query}`);
  request.setRequestHeader("Content-Type", "application/jsonl");
  request.setRequestHeader("X-CSRF-Token", csrf());
  request.upload.addEventListener("progress", (event) => {
    $("sent").value = event.total ? event.loaded / event.total : 0;
    say("sent-bytes", `${megabytes(event.loaded)} of ${megabytes(event.total)} MB`);
  });
  request.addEventListener("load", () => ended(request));
  request.addEventListener("error", () => refuse("The connection was lost. Nothing was started; submit the file again."));
  $("start").disabled = true;
  $("going").hidden = false;
  $("refused").hidden = true;
  $("bad").hidden = true;
  say("sent-bytes", "");
  request.send(file);
}

function ended(request) {
  let answer = {};
  try { answer = JSON.parse(request.responseText); } catch { /* a proxy's page: only the status is known */ }
  if (answer.id) { window.location = `/admin/batches/${answer.id}`; return; }
  refuse(answer.error ?? `The server answered ${request.status}. Nothing was started.`);
  if (!answer.lines?.length) return;
  const more = answer.bad_lines > answer.lines.length ? ` (the first ${answer.lines.length} of ${answer.bad_lines})` : "";
  say("bad-title", `Bad lines${more}`);
  $("bad-lines").replaceChildren(...answer.lines.map((bad) => make("tr", {}, make("td", {}, String(bad.line)), make("td", {}, bad.reason))));
  $("bad").hidden = false;
}

function refuse(text) {
  $("start").disabled = false;
  $("going").hidden = true;
  $("refused").hidden = false;
  say("refused", text);
}

const megabytes = (bytes) => (bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0);

// Watching a batch

const shown = $("batch");
if (shown) watch();

async function watch() {
  for (;;) {
    const began = performance.now();
    const batch = await load();
    if (batch && batch.state !== shown.dataset.state) { window.location.reload(); return; }
    if (batch) show(batch);
    // A batch of millions takes long to count, so ask less often.
    await new Promise((done) => setTimeout(done, Math.max(1000, 10 * (performance.now() - began))));
  }
}

async function load() {
  try {
    const answer = await fetch(`/api/v1/batches/${shown.dataset.batch}`, { cache: "no-store" });
    if (answer.status === 401) window.location.reload();
    return answer.ok ? await answer.json() : null;
  } catch {
    return null;
  }
}

function show(batch) {
  if (!$("bar")) return;
  const sum = batch.done + batch.failed;
  $("bar").value = sum;
  say("ended", String(sum));
  for (const name of ["done", "failed", "running", "waiting"]) say(name, String(batch[name]));
  say("rate", batch.state === "running" && batch.per_s ? `${batch.per_s} per second${left(batch.seconds_left)}` : "");
  if ($("held")) $("held").hidden = !(batch.hold_until && !batch.per_s);
}

function left(seconds) {
  if (seconds === null) return "";
  const whole = Math.round(seconds);
  if (whole < 90) return `, about ${whole} s left`;
  return whole < 5400 ? `, about ${Math.round(whole / 60)} min left` : `, about ${(whole / 3600).toFixed(1)} h left`;
}
