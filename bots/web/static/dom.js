// Makes elements. Everything that people or the model wrote becomes text, never markup.

export const $ = (id) => document.getElementById(id);

export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "onclick") element.addEventListener("click", value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export const clock = (at) => new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });

// USD as the admin pages write it (bots/web/money.py): $12.34, and below a dollar three digits that count.
export function money(usd) {
  if (usd === null || usd === undefined) return "no price";
  if (Math.abs(usd) >= 1) return `$${usd.toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 })}`;
  if (usd === 0) return "$0";
  const digits = Math.min(100, Math.max(2, 2 - Math.floor(Math.log10(Math.abs(usd)))));
  const [whole, parts] = usd.toFixed(digits).split(".");
  return `$${whole}.${parts.replace(/0+$/, "").padEnd(2, "0")}`;
}

// Text with the few marks that chat apps know: ``` blocks, `code`, *bold*, _italic_.
export function words(text) {
  const out = make("div", { class: "words" });
  text.split(/```(?:[a-z0-9+-]*\n)?([\s\S]*?)```/).forEach((piece, index) => {
    if (index % 2) out.append(make("pre", {}, make("code", {}, piece.replace(/\n$/, ""))));
    else {
      const plain = piece.slice(index && piece.startsWith("\n") ? 1 : 0).replace(/\n$/, index || text.length > piece.length ? "" : "\n");
      if (plain) out.append(...inline(plain));
    }
  });
  return out;
}

function inline(text) {
  const parts = [];
  const mark = /`([^`\n]+)`|(?<![\w*])\*{1,2}(?=\S)([^*\n]+?)(?<=\S)\*{1,2}(?![\w*])|(?<![\w_])_(?=\S)([^_\n]+?)(?<=\S)_(?![\w_])/g;
  let from = 0;
  for (const found of text.matchAll(mark)) {
    if (found.index > from) parts.push(text.slice(from, found.index));
    const [whole, code, bold, italic] = found;
    if (code !== undefined) parts.push(make("code", {}, code));
    else if (bold !== undefined) parts.push(make("strong", {}, bold));
    else parts.push(make("em", {}, italic));
    from = found.index + whole.length;
  }
  if (from < text.length) parts.push(text.slice(from));
  return parts;
}

const SVG = "http://www.w3.org/2000/svg";
const DRAWN = {
  clock: ["M8 2.2a4.800 4.800 0 1 0 .01 0z", "M8 4.500v2.700l1.800 1"],
  one: ["M3.500 7.200l2.600 2.600 6-7"],
  two: ["M1 7.200l2.600 2.600 6-7", "M7.400 9l.8.8 6-7"],
  failed: ["M8 2v5", "M8 9.800v.1"],
};
const LADDER = {
  posting: ["clock", "Being sent"], queued: ["clock", "Waiting to be sent"], sending: ["clock", "Being sent"],
  unknown: ["failed", "May not have arrived"], accepted: ["one", "Accepted"], sent: ["one", "Sent"],
  delivered: ["two", "Delivered"], read: ["two", "Read"], failed: ["failed", "Failed"],
};

export function ticks(status) {
  const [shape, said] = LADDER[status] ?? ["clock", status];
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 16 12");
  svg.setAttribute("class", `ticks ${status}`);
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", said);
  svg.dataset.status = status;
  for (const line of DRAWN[shape]) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", line);
    svg.append(path);
  }
  return svg;
}
