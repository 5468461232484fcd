// The panel "what happened": one turn's steps, memories, prompt, tokens and attempts.

import { clock, make, money } from "./dom.js";

const SAID = {
  received: "Message stored in the inbox", claimed: "A worker claimed the conversation", apologised: "Apologised",
  model: "The model was called", notes: "The model was asked for notes on older turns", answered: "Turn finished, answer in the outbox", skipped: "Turn skipped", dead: "Turn is dead",
  sent: "The channel accepted the answer", send: "Sending", delivered: "Delivered", read: "Read", failed: "Failed",
};
const BAD = new Set(["dead", "failed"]);

export function tell(story) {
  const call = answering(story);
  return [
    summary(story, call),
    heading("Steps"), steps(story),
    ...memories("Memories recalled", story.recalled, "Nothing was recalled for this answer."),
    ...repeated(story.repeated),
    ...(story.learned.length ? memories("Learned in this turn", story.learned, "") : []),
    heading("Exact prompt"), ...prompts(story),
    heading("Attempts"), attempts(story),
  ];
}

// The call that the answer is from: notes on older turns are made later, and recorded with the last turn that they cover.
const answering = (story) => story.calls.filter((call) => !call.outcome.startsWith("summary")).at(-1);
const heading = (text) => make("h3", {}, text);
const count = (value) => (value === null || value === undefined ? "–" : Number(value).toLocaleString());
// The server counted nothing: what was counted or estimated here.
const about = (call, said) => (call?.estimated ? make("abbr", { title: "Counted or estimated here, since the model server did not count these tokens." }, `about ${said}`) : said);
const millis = (value) => (value === null || value === undefined ? "–" : value < 1000 ? `${Math.round(value)} ms` : `${(value / 1000).toFixed(2)} s`);

// Of all calls of the turn; null where none has a price.
function cost(story) {
  const known = story.calls.map((call) => call.cost).filter((one) => one !== null && one !== undefined);
  return known.length ? known.reduce((sum, one) => sum + one, 0) : null;
}

function summary(story, call) {
  const tile = (value, label) => make("li", {}, make("b", {}, value), make("span", {}, label));
  return make("ul", { class: "sum", "aria-label": `Turn ${story.number}` },
    tile(`#${story.number}`, story.reason ? `${story.state}: ${story.reason}` : story.state),
    tile(about(call, count(call?.tokens_in)), "tokens in"), tile(count(call?.tokens_cached), "cached"), tile(about(call, count(call?.tokens_out)), "tokens out"),
    tile(millis(call?.first_token_ms), "first token"), tile(millis(call?.total_ms), "model in total"),
    ...(call ? [tile(money(cost(story)), "cost")] : []));
}

function steps(story) {
  const start = story.steps.length ? new Date(story.steps[0].at) : null;
  return make("ol", { class: "steps" }, ...story.steps.map((step) => {
    const after = new Date(step.at) - start;
    return make("li", { class: BAD.has(step.what) ? "bad" : null },
      make("time", { class: "at", datetime: step.at, title: clock(step.at) }, `+${(after / 1000).toFixed(2)} s`),
      make("span", { class: "pin", "aria-hidden": "true" }),
      make("span", {}, SAID[step.what] ?? step.what, step.detail ? make("small", {}, ` · ${step.detail}`) : null));
  }));
}

function memories(title, rows, none) {
  if (!rows.length) return [heading(title), make("p", { class: "empty" }, none)];
  return [heading(title), ...rows.map((row) => make("div", { class: "card memory" },
    make("span", { class: "kind" }, row.kind), row.text, make("small", {}, ` · ${row.reason}`),
    row.source_text ? make("blockquote", {}, `“${row.source_text}”`, row.source_at ? ` · ${new Date(row.source_at).toLocaleString()}` : null) : null))];
}

function repeated(rows) {
  if (!rows.length) return [];
  return [heading("Earlier turns recalled"), ...rows.map((row) => make("div", { class: "card memory" },
    make("span", { class: "kind" }, new Date(row.said_at).toLocaleString()), make("small", {}, ` found by ${row.signals.join(", ")}`),
    row.asked ? make("blockquote", {}, `“${row.asked}”`) : null, row.answer ? make("blockquote", {}, `Answer: “${row.answer}”`) : null))];
}

function prompts(story) {
  if (!story.calls.length) return [make("p", { class: "empty" }, "The model was not called.")];
  return story.calls.map((call) => {
    const messages = Array.isArray(call.prompt) ? call.prompt : call.prompt?.messages ?? [];
    return make("details", { open: call === answering(story), class: "call" },
      make("summary", {}, `${call.model} · ${messages.length} messages · ${call.outcome}${story.calls.length > 1 ? ` · call ${call.attempt}` : ""}`),
      ...messages.map((message) => make("div", { class: `prompt ${message.role}` },
        make("div", { class: "role" }, message.images ? `${message.role} · ${message.images} ${message.images === 1 ? "picture" : "pictures"}` : String(message.role)),
        make("pre", {}, typeof message.content === "string" ? message.content : JSON.stringify(message.content, null, 1)))));
  });
}

function attempts(story) {
  if (!story.calls.length && !story.attempts.length) return make("p", { class: "empty" }, "None yet.");
  const row = (...cells) => make("tr", {}, ...cells.map((cell) => make("td", {}, cell)));
  const head = make("tr", {}, ...["What", "Outcome", "Took"].map((name) => make("th", { scope: "col" }, name)));
  const took = (attempt) => (attempt.finished_at ? millis(new Date(attempt.finished_at) - new Date(attempt.started_at)) : "–");
  return make("table", {}, make("thead", {}, head), make("tbody", {},
    ...story.calls.map((call) => row(`model, call ${call.attempt}`, call.outcome, millis(call.total_ms))),
    ...story.attempts.map((a) => row(`send part ${a.part}, try ${a.n}`, [a.outcome ?? "running", a.error_code].filter((x) => x !== null).join(" "), took(a))),
    story.tries ? row("internal errors", String(story.tries), "") : null));
}

