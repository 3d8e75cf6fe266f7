// Uncovers a picture step by step. How far it was uncovered is remembered in this window: loading the page again covers nothing.
import { ready } from "./trial.js";

const form = document.getElementById("trial");
const said = document.getElementById("said");
const more = document.getElementById("more");
const place = form.querySelector(".reveal");
const pictures = [...place.querySelectorAll("img")];
const name = `reveal ${place.dataset.trial}`;

let step = Math.min(pictures.length, Math.max(1, Number(sessionStorage.getItem(name)) || 1));

function show() {
  pictures.forEach((picture, at) => { picture.hidden = at + 1 !== step; });
  form.elements.steps.value = step;
  more.disabled = step >= pictures.length;
  sessionStorage.setItem(name, step);
  said.textContent = `Step ${step} of ${pictures.length} is shown.`;
}

more.addEventListener("click", () => {
  if (step < pictures.length) step += 1;
  show();
});
ready.then(() => {
  show();
  if (document.activeElement === document.body) more.focus({ preventScroll: true });
});
