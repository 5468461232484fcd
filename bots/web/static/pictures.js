// Pictures: attached by button, paste or drop; shown in the bubble. Drawn on a canvas until they are stored: the page loads images from itself alone.

import { $, make } from "./dom.js";
import { base64 } from "./voice.js";

// As much as the service takes.
const MOST_BYTES = 16 * 1024 * 1024;
const KINDS = new Set(["image/jpeg", "image/png", "image/webp", "image/gif"]);
const SOUNDS = /^(audio\/|video\/ogg$)/;
const SIDE = 640;

let kept = null;

export const attached = () => kept;

export function detach() {
  kept = null;
  $("attached").hidden = true;
  $("file").value = "";
}

function draw(bitmap, canvas) {
  const scale = Math.min(1, SIDE / Math.max(bitmap.width, bitmap.height));
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return canvas;
}

async function attach(file, tell, speak) {
  const isSound = SOUNDS.test(file.type);
  if (!isSound && !KINDS.has(file.type)) return tell("Only pictures (JPEG, PNG, WebP or GIF) and recordings can be sent.");
  if (file.size > MOST_BYTES) return tell(`The file is larger than ${MOST_BYTES / 1024 / 1024} MB.`);
  if (isSound) {
    // A recording is a message of its own.
    detach();
    tell("");
    return speak(await base64(file));
  }
  try {
    const [bitmap, data] = await Promise.all([createImageBitmap(file), base64(file)]);
    draw(bitmap, $("preview"));
    kept = { base64: data, canvas: draw(bitmap, make("canvas")) };
  } catch {
    return tell("This picture cannot be read.");
  }
  tell("");
  $("attached").hidden = false;
  $("words").focus();
  return undefined;
}

export function watchForPictures(tell, speak) {
  const form = $("compose");
  const first = (files) => [...(files ?? [])].find((file) => file.type.startsWith("image/"));
  $("attach").addEventListener("click", () => $("file").click());
  $("detach").addEventListener("click", () => { detach(); $("words").focus(); });
  $("file").addEventListener("change", () => { if ($("file").files.length) attach($("file").files[0], tell, speak); });
  $("words").addEventListener("paste", (event) => {
    const file = first(event.clipboardData?.files);
    if (file) { event.preventDefault(); attach(file, tell, speak); }
  });
  const phone = document.querySelector(".phone");
  phone.addEventListener("dragover", (event) => { if (event.dataTransfer?.types.includes("Files")) { event.preventDefault(); form.classList.add("over"); } });
  phone.addEventListener("dragleave", () => form.classList.remove("over"));
  phone.addEventListener("drop", (event) => {
    form.classList.remove("over");
    if (!event.dataTransfer?.files.length) return;
    event.preventDefault();
    attach(first(event.dataTransfer.files) ?? event.dataTransfer.files[0], tell, speak);
  });
}

// The pictures of a line: those that are stored by their address, one that is being sent as it was drawn.
export function pictures(line, slug) {
  const found = line.pictures ?? [];
  if (!found.length) return null;
  return make("div", { class: "pictures" }, ...found.map((picture) => {
    if (picture.kind === "audio") {
      if (!picture.id || !picture.is_here) return make("em", { class: "kind" }, "[voice message]");
      return make("audio", { controls: "", preload: "none", src: `/chat/pictures/${picture.id}?contact=${encodeURIComponent(slug)}`, "aria-label": "Voice message" });
    }
    if (picture.canvas) { picture.canvas.setAttribute("role", "img"); picture.canvas.setAttribute("aria-label", "Picture"); return picture.canvas; }
    if (picture.state === "fetched") return make("img", { src: `/chat/pictures/${picture.id}?contact=${encodeURIComponent(slug)}`, alt: "Picture" });
    return make("em", { class: "kind" }, picture.reason ? "[picture: no longer available]" : "[picture]");
  }));
}
