"use strict";
// All bars share one view, [from, to] in milliseconds since the report's start.
const said = JSON.parse(document.getElementById("view").textContent);
const tip = document.getElementById("tip");
const bars = [...document.querySelectorAll("svg.day")];
const whole = Math.max(1, said.end - said.start);
const least = Math.min(whole, 5000);
const steps = [1, 5, 15, 60, 300, 900, 3600, 7200].map((s) => s * 1000);
const format = (seconds) => new Intl.DateTimeFormat("en-GB", {
  timeZone: said.tz, hourCycle: "h23", hour: "2-digit", minute: "2-digit",
  ...(seconds ? { second: "2-digit" } : {}),
});
const toMinute = format(false), toSecond = format(true);
let from = 0, to = whole;

function show(start, length) {
  length = Math.min(whole, Math.max(least, length));
  from = Math.min(whole - length, Math.max(0, start));
  to = from + length;
  const step = steps.find((s) => length / s < 13) || 7200000;
  const clock = step < 60000 ? toSecond : toMinute;
  const marks = [];
  const first = Math.ceil((said.start + from - said.midnight) / step) * step;
  for (let at = said.midnight + first; at < said.start + to; at += step) {
    const mark = document.createElement("span");
    mark.style.left = `${100 * (at - said.start - from) / length}%`;
    mark.textContent = clock.format(at);
    marks.push(mark);
  }
  for (const bar of bars) {
    bar.setAttribute("viewBox", `${from / 1000} 0 ${length / 1000} ${1 + said.strip}`);
    bar.nextElementSibling.replaceChildren(...marks.map((mark) => mark.cloneNode(true)));
  }
}

function zoom(factor, share) {
  const length = Math.min(whole, Math.max(least, (to - from) * factor));
  show(from + share * (to - from - length), length);
}

function tell(event) {
  const rect = event.target.closest("rect");
  tip.hidden = !rect;
  if (!rect) return;
  const start = said.start + 1000 * rect.getAttribute("x");
  const length = 1000 * rect.getAttribute("width");
  const label = said.labels[Number(rect.getAttribute("class").slice(1))];
  tip.textContent = `${label}  ${toSecond.format(start)} – ${toSecond.format(start + length)}` +
    `  (${(length / 1000).toFixed(1)} s)`;
  tip.style.top = `${event.clientY + 16}px`;
  tip.style.left = `${Math.min(event.clientX + 12, innerWidth - tip.offsetWidth - 8)}px`;
}

const keys = {
  "+": () => zoom(0.5, 0.5), "=": () => zoom(0.5, 0.5), "-": () => zoom(2, 0.5),
  "0": () => show(0, whole), "Home": () => show(0, to - from), "End": () => show(whole, to - from),
  "ArrowLeft": () => show(from - (to - from) / 5, to - from),
  "ArrowRight": () => show(from + (to - from) / 5, to - from),
};

for (const bar of bars) {
  let held = null;
  bar.addEventListener("wheel", (event) => {
    event.preventDefault();
    const box = bar.getBoundingClientRect();
    if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      show(from + (to - from) * event.deltaX / box.width, to - from);
    } else {
      zoom(Math.exp(event.deltaY / 400), (event.clientX - box.left) / box.width);
    }
  }, { passive: false });
  bar.addEventListener("pointerdown", (event) => {
    held = { x: event.clientX, from };
    bar.setPointerCapture(event.pointerId);
  });
  bar.addEventListener("pointermove", (event) => {
    if (!held) return tell(event);
    tip.hidden = true;
    const width = bar.getBoundingClientRect().width;
    show(held.from - (to - from) * (event.clientX - held.x) / width, to - from);
  });
  for (const name of ["pointerup", "pointercancel"]) {
    bar.addEventListener(name, () => { held = null; });
  }
  bar.addEventListener("pointerleave", () => { tip.hidden = true; });
  bar.addEventListener("dblclick", () => show(0, whole));
  bar.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !(event.key in keys)) return;
    event.preventDefault();
    keys[event.key]();
  });
}
show(0, whole);
