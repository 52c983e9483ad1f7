// What the pages cannot do without a script: play the day, keep what is unfolded unfolded, and
// stand still when asked.
"use strict";

const STEP_MS = 700;

function player() {
  const button = document.getElementById("play");
  const slider = document.getElementById("at");
  if (!button || !slider) return;
  let playing = false;
  let timer = null;
  const pause = () => {
    clearTimeout(timer);
    playing = false;
    button.textContent = button.dataset.play;
  };
  const step = () => {
    if (Number(slider.value) >= Number(slider.max)) return pause();
    slider.value = Number(slider.value) + 1;
    slider.dispatchEvent(new Event("change", { bubbles: true }));
  };
  button.hidden = false;
  button.addEventListener("click", () => {
    if (playing) return pause();
    playing = true;
    if (Number(slider.value) >= Number(slider.max)) slider.value = slider.min;
    button.textContent = button.dataset.pause;
    step();
  });
  // However long a half hour takes to come, it is then looked at for a while.
  slider.addEventListener("htmx:afterRequest", () => {
    clearTimeout(timer);
    if (playing) timer = setTimeout(step, STEP_MS);
  });
  document.body.addEventListener("htmx:afterSwap", () => {
    const live = document.getElementById("live");
    // Half hours that have come since can be reached, and what is live is followed.
    slider.min = live.dataset.first;
    slider.max = live.dataset.last;
    if (live.hasAttribute("hx-get")) slider.value = live.dataset.slot;
    // The half hour is told by its name, not by its number.
    slider.setAttribute("aria-valuetext", live.dataset.name);
  });
}

function unfolded() {
  let open = [];
  document.body.addEventListener("htmx:beforeSwap", () => {
    open = [...document.querySelectorAll("details[open][id]")].map((one) => one.id);
  });
  document.body.addEventListener("htmx:afterSwap", () => {
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  });
}

// Who reads slowly, or by ear, can keep a page from renewing itself.
function renewing() {
  const button = document.getElementById("renew");
  if (!button) return;
  let stopped = false;
  button.hidden = false;
  button.addEventListener("click", () => {
    stopped = !stopped;
    button.textContent = stopped ? button.dataset.go : button.dataset.stop;
  });
  document.body.addEventListener("htmx:beforeRequest", (event) => {
    if (stopped && event.detail.elt.id === "live") event.preventDefault();
  });
}

player();
unfolded();
renewing();
