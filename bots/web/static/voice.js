// Voice messages: recorded with the microphone, from one press of the button to the next. Where the browser has no microphone there is no button.

import { $ } from "./dom.js";

// Longer ones are not heard.
const LONGEST_MS = 10 * 60 * 1000;

let recorder = null;

export const base64 = (file) => new Promise((resolve, reject) => {
  const reader = new FileReader();
  reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
  reader.onerror = () => reject(reader.error);
  reader.readAsDataURL(file);
});

function show(isOn) {
  $("speak").setAttribute("aria-pressed", String(isOn));
  $("speak").setAttribute("aria-label", isOn ? "Stop recording and send" : "Record a voice message");
}

async function begin(say, tell) {
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ audio: true });
  } catch {
    return tell("The microphone cannot be used: allow it for this page.");
  }
  tell("");
  const pieces = [];
  recorder = new MediaRecorder(stream);
  recorder.ondataavailable = (event) => pieces.push(event.data);
  const end = setTimeout(() => recorder?.stop(), LONGEST_MS);
  recorder.onstop = async () => {
    clearTimeout(end);
    for (const track of stream.getTracks()) track.stop();
    const sound = new Blob(pieces, { type: recorder.mimeType });
    recorder = null;
    show(false);
    if (sound.size) say(await base64(sound));
  };
  recorder.start();
  show(true);
  return undefined;
}

export function watchForVoice(say, tell) {
  if (!navigator.mediaDevices?.getUserMedia || !window.MediaRecorder) return;
  $("speak").hidden = false;
  $("speak").addEventListener("click", () => { if (recorder) recorder.stop(); else begin(say, tell); });
}
