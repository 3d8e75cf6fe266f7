// Every trial: waits for the pictures, measures the time from then on, sends once, and fetches the next trial's pictures.
const form = document.getElementById("trial");
const said = document.getElementById("said");
const buttons = [...form.querySelectorAll("button:not(#more)")];
const pictures = [...form.querySelectorAll("img, input[type=image]")];
document.documentElement.classList.add("scripted");

let seen = null;
let sending = false;

function loaded(picture) {
  if (picture.complete && (picture.naturalWidth ?? 1) > 0) return Promise.resolve();
  return new Promise((resolve, reject) => {
    picture.addEventListener("load", resolve, { once: true });
    picture.addEventListener("error", reject, { once: true });
    // It may have ended in between.
    if (picture.complete && picture.naturalWidth === 0) reject(new Error("broken"));
  });
}

// An input of the kind image does not say whether it has loaded: a picture of the same address does.
const waited = pictures.map((picture) => {
  if (picture.tagName === "IMG") return loaded(picture);
  const same = new Image();
  same.src = picture.src;
  return loaded(same);
});

for (const button of buttons) button.disabled = true;
export const ready = Promise.all(waited).then(
  () => new Promise((resolve) => requestAnimationFrame(() => {
    seen = performance.now();
    for (const button of buttons) button.disabled = false;
    // The answers, and none of them: a ring around the first would recommend it. Whoever has gone somewhere by keyboard already stays there.
    const answers = form.querySelector("fieldset[tabindex]");
    if (answers && document.activeElement === document.body) answers.focus({ preventScroll: true });
    for (const link of document.querySelectorAll("link[rel=prefetch]")) new Image().src = link.href;
    resolve();
  })),
  () => {
    said.textContent = "A picture could not be loaded. Load the page again; nothing is lost.";
    return new Promise(() => {});
  },
);

form.addEventListener("submit", (event) => {
  if (sending || seen === null) {
    event.preventDefault();
    return;
  }
  sending = true;
  form.elements.ms.value = Math.round(performance.now() - seen);
  form.elements.width.value = window.innerWidth;
  form.elements.height.value = window.innerHeight;
});

// A page that comes back from the browser's memory can be sent again; the first answer stands anyway.
window.addEventListener("pageshow", (event) => {
  if (event.persisted) sending = false;
});
