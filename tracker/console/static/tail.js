// A log that goes on by itself: new rows come in at the top of its table.
"use strict";

const MOST_ROWS = 300;

function rowsOf(text) {
  const parsed = document.createElement("template");
  parsed.innerHTML = `<table><tbody>${text}</tbody></table>`;
  return parsed.content.querySelectorAll("tr");
}

function offerTail(place) {
  const button = place.querySelector("button");
  const status = place.querySelector("[role=status]");
  const body = document.querySelector(".table[data-log] tbody");
  if (!window.EventSource || !body) return;
  place.hidden = false;
  let source = null;
  let count = 0;

  function stop(said) {
    source?.close();
    source = null;
    button.setAttribute("aria-pressed", "false");
    status.textContent = said;
  }

  function add(event) {
    const rows = rowsOf(event.data);
    count += rows.length;
    body.prepend(...rows);
    while (body.rows.length > MOST_ROWS) body.rows[body.rows.length - 1].remove();
    status.textContent = `${count} new`;
  }

  function start() {
    source = new EventSource(place.dataset.tail);
    source.addEventListener("message", add);
    source.addEventListener("over", () => stop("The session has ended."));
    source.addEventListener("open", () => (status.textContent = count ? `${count} new` : "Waiting for what comes"));
    source.addEventListener("error", () => {
      if (source?.readyState === EventSource.CLOSED) stop("It does not answer.");
      else status.textContent = "Connecting again";
    });
    button.setAttribute("aria-pressed", "true");
  }

  button.addEventListener("click", () => (source ? stop("") : start()));
}

document.querySelectorAll("[data-tail]").forEach(offerTail);
