// Shows every time in the zone of whoever looks at the page. The server writes UTC, which stays where no script runs.

import { make } from "/static/dom.js";

const WRITTEN = /(\d{4}-[01]\d-[0-3]\d) ([0-2]\d:[0-5]\d)(:[0-5]\d)? UTC/g;
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
const format = new Intl.DateTimeFormat("en-GB", {
  year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit",
  fractionalSecondDigits: 3, hourCycle: "h23", timeZoneName: "short",
});
const FORMS = {
  second: (at) => `${at.year}-${at.month}-${at.day} ${at.hour}:${at.minute}:${at.second} ${at.timeZoneName}`,
  minute: (at) => `${at.year}-${at.month}-${at.day} ${at.hour}:${at.minute} ${at.timeZoneName}`,
  clock: (at) => `${at.hour}:${at.minute}:${at.second}.${at.fractionalSecond} ${at.timeZoneName}`,
  hour: (at) => `${at.hour}:${at.minute}`,
};

function here(iso, form) {
  const parts = format.formatToParts(new Date(iso)).map(({ type, value }) => [type, value]);
  return FORMS[form](Object.fromEntries(parts));
}

// A sentence as nodes, with its times as elements.
export function timed(text) {
  const nodes = [];
  let from = 0;
  for (const found of text.matchAll(WRITTEN)) {
    const [whole, day, minute, second] = found;
    nodes.push(text.slice(from, found.index));
    nodes.push(make("time", { datetime: `${day}T${minute}${second ?? ""}Z`, "data-shown": second ? "second" : "minute" }, whole));
    from = found.index + whole.length;
  }
  return [...nodes, text.slice(from)];
}

function shift(time) {
  const utc = time.textContent;
  time.textContent = here(time.dateTime, time.dataset.shown);
  time.title = `${utc}, shown in ${zone}`;
  delete time.dataset.shown;
}

// A chart names its hours in several texts: under the axis, in tips, in the description for screen readers.
function shiftChart(chart) {
  const hours = JSON.parse(chart.dataset.hours);
  for (const part of chart.querySelectorAll("text, title, desc")) {
    part.textContent = part.textContent.replace(/\b\d\d:\d\d\b/g, (hour) => (hours[hour] ? here(hours[hour], "hour") : hour));
  }
  delete chart.dataset.hours;
}

function shiftAll(root) {
  root.querySelectorAll("time[data-shown]").forEach(shift);
  root.querySelectorAll("svg[data-hours]").forEach(shiftChart);
}

// Live parts of a page bring new times; they are shifted before they are painted.
new MutationObserver((changes) => {
  if (changes.some((change) => [...change.addedNodes].some((node) => node.nodeType === Node.ELEMENT_NODE))) shiftAll(document.body);
}).observe(document.body, { childList: true, subtree: true });
shiftAll(document.body);
