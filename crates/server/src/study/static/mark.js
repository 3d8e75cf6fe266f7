// Marks in the photo, by pointer or by keyboard: a point, a box, or strokes of a brush. Points and boxes are written into the fields for numbers, so both ways
// of answering are one.
import { ready } from "./trial.js";

const form = document.getElementById("trial");
const said = document.getElementById("said");
const place = form.querySelector(".mark");
const tool = place.dataset.tool;
const photo = place.firstElementChild;
const fields = form.elements;

const surface = document.createElement("canvas");
surface.className = "surface";
surface.tabIndex = 0;
surface.setAttribute("role", "application");
surface.setAttribute("aria-label", {
  point: "The photo. Arrows move the point.",
  box: "The photo. Arrows move the cross, Enter or the space bar sets a corner.",
  brush: "The photo. Arrows move the brush, the space bar begins and ends a stroke.",
}[tool]);
place.append(surface);
// What lies below only shows the photo from here on.
if (photo.tagName === "INPUT") {
  const shown = new Image(photo.width, photo.height);
  shown.src = photo.src;
  shown.alt = "The photo";
  photo.replaceWith(shown);
}

const draw = surface.getContext("2d");
let at = [0.5, 0.5];
let corner = null;
let box = null;
let point = null;
const strokes = [];
let stroke = null;
let cross = false;
const radius = tool === "brush" ? Number(fields.radius.value) / 100 : 0;

const within = (value) => Math.min(1, Math.max(0, value));
const percent = (value) => (value * 100).toFixed(2);
const short = (value) => Math.round(value * 1e4) / 1e4;

function written() {
  if (tool === "point") {
    fields.x.value = percent(point[0]);
    fields.y.value = percent(point[1]);
  } else if (tool === "box" && box) {
    fields.left.value = percent(Math.min(box[0], box[2]));
    fields.top.value = percent(Math.min(box[1], box[3]));
    fields.right.value = percent(Math.max(box[0], box[2]));
    fields.bottom.value = percent(Math.max(box[1], box[3]));
  } else if (tool === "brush") {
    fields.strokes.value = strokes.length ? JSON.stringify(strokes) : "";
  }
}

// Black within white: it can be seen on every photo.
function line(path) {
  for (const [width, colour] of [[5, "#fff"], [2, "#000"]]) {
    draw.lineWidth = width;
    draw.strokeStyle = colour;
    draw.beginPath();
    path();
    draw.stroke();
  }
}

function show() {
  const { width, height } = surface.getBoundingClientRect();
  const dense = window.devicePixelRatio || 1;
  surface.width = Math.round(width * dense);
  surface.height = Math.round(height * dense);
  draw.scale(dense, dense);
  const px = ([x, y]) => [x * width, y * height];
  if (tool === "brush") {
    draw.lineCap = draw.lineJoin = "round";
    draw.lineWidth = 2 * radius * width;
    draw.strokeStyle = "#000";
    draw.globalAlpha = 1;
    for (const one of strokes) {
      draw.beginPath();
      draw.moveTo(...px(one[0]));
      for (const next of one.length > 1 ? one.slice(1) : one) draw.lineTo(...px(next));
      draw.stroke();
    }
    // All strokes together are half transparent, also where they cross.
    draw.globalCompositeOperation = "source-in";
    draw.fillStyle = "rgb(255 255 255 / 60%)";
    draw.fillRect(0, 0, width, height);
    draw.globalCompositeOperation = "source-over";
  }
  if (tool === "point" && point) {
    const [x, y] = px(point);
    line(() => draw.arc(x, y, 7, 0, 7));
  }
  const shown = box ?? (corner ? [...corner, ...at] : null);
  if (tool === "box" && shown) {
    line(() => draw.rect(shown[0] * width, shown[1] * height, (shown[2] - shown[0]) * width, (shown[3] - shown[1]) * height));
  }
  if (cross && tool !== "point") {
    const [x, y] = px(at);
    if (tool === "brush") line(() => draw.arc(x, y, radius * width, 0, 7));
    else line(() => {
      draw.moveTo(x - 10, y);
      draw.lineTo(x + 10, y);
      draw.moveTo(x, y - 10);
      draw.lineTo(x, y + 10);
    });
  }
}

function position(event) {
  const { left, top, width, height } = surface.getBoundingClientRect();
  return [short(within((event.clientX - left) / width)), short(within((event.clientY - top) / height))];
}

function setCorner() {
  if (corner) {
    box = [...corner, ...at];
    corner = null;
    said.textContent = "The box is set.";
  } else {
    corner = at;
    box = null;
    for (const name of ["left", "top", "right", "bottom"]) fields[name].value = "";
    said.textContent = "One corner is set. Go to the opposite one.";
  }
  written();
}

function begin() {
  stroke = [at];
  strokes.push(stroke);
}

surface.addEventListener("pointerdown", (event) => {
  if (event.button !== 0) return;
  surface.setPointerCapture(event.pointerId);
  at = position(event);
  cross = false;
  if (tool === "point") point = at;
  else if (tool === "box") [corner, box] = [at, null];
  else begin();
  written();
  show();
});
surface.addEventListener("pointermove", (event) => {
  if (!surface.hasPointerCapture(event.pointerId)) return;
  at = position(event);
  if (tool === "point") point = at;
  else if (tool === "brush") stroke?.push(at);
  written();
  show();
});
surface.addEventListener("pointerup", (event) => {
  if (!surface.hasPointerCapture(event.pointerId)) return;
  at = position(event);
  if (tool === "box" && corner) {
    // A click without a way sets a corner, and the next one the opposite.
    const far = Math.abs(at[0] - corner[0]) > 0.01 && Math.abs(at[1] - corner[1]) > 0.01;
    if (far) {
      [box, corner] = [[...corner, ...at], null];
      said.textContent = "The box is set.";
    } else {
      waiting();
    }
  }
  stroke = null;
  written();
  show();
});

// The second click of a box that is set by two clicks.
function waiting() {
  const first = corner;
  said.textContent = "One corner is set. Click the opposite one.";
  surface.addEventListener("pointerdown", (event) => {
    corner = first;
    at = position(event);
  }, { once: true });
}

const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
surface.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  const step = STEPS[event.key];
  const sets = event.key === "Enter" || event.key === " ";
  if (!step && !sets) return;
  event.preventDefault();
  cross = true;
  if (step) {
    const wide = event.shiftKey ? 0.1 : 0.01;
    at = [short(within(at[0] + step[0] * wide)), short(within(at[1] + step[1] * wide))];
    if (tool === "point") point = at;
    if (tool === "brush") stroke?.push(at);
    if (tool !== "brush" || stroke) written();
    said.textContent = `${Math.round(at[0] * 100)} per cent from the left, ${Math.round(at[1] * 100)} from above`;
  } else if (tool === "point") {
    point = at;
    written();
  } else if (tool === "box") {
    setCorner();
  } else if (stroke) {
    stroke = null;
    said.textContent = "The stroke is done.";
  } else {
    begin();
    written();
    said.textContent = "A stroke has begun.";
  }
  show();
});
surface.addEventListener("focus", () => { cross = surface.matches(":focus-visible"); show(); });
surface.addEventListener("blur", () => { cross = false; show(); });

// Numbers that are typed are drawn.
form.addEventListener("input", () => {
  const read = (...names) => {
    const values = names.map((name) => (fields[name].value.trim() === "" ? NaN : Number(fields[name].value.replace(",", ".")) / 100));
    return values.every((value) => value >= 0 && value <= 1) ? values : null;
  };
  if (tool === "point") point = read("x", "y");
  if (tool === "box") [box, corner] = [read("left", "top", "right", "bottom"), null];
  show();
});

if (tool === "brush") {
  const undo = document.createElement("button");
  undo.type = "button";
  undo.textContent = "Undo the last stroke";
  undo.addEventListener("click", () => { strokes.pop(); stroke = null; written(); show(); });
  document.getElementById("next").after(" ", undo);
}

form.addEventListener("submit", (event) => {
  const marked = { point: () => fields.x.value, box: () => fields.right.value, brush: () => fields.strokes.value }[tool]();
  if (event.submitter?.name !== "nothing" && !marked) {
    event.preventDefault();
    event.stopImmediatePropagation();
    said.textContent = "Mark the place in the photo first.";
  }
}, { capture: true });

new ResizeObserver(show).observe(surface);
ready.then(show);
