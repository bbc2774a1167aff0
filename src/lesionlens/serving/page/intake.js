// How images come in: dropped anywhere on the page, chosen, photographed, or pasted.

import { byId } from "./dom.js";

/** Hand every file that comes in to `take`. */
export function watchIntake(take) {
  fromInput(byId("choose"), byId("files"), take);
  fromInput(byId("photograph"), byId("camera"), take);
  fromDrop(take);
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (!files.length) return; // text goes where the cursor is
    event.preventDefault();
    take(files);
  });
}

function fromInput(button, input, take) {
  button.addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    if (input.files.length) take([...input.files]);
    input.value = ""; // the same file may be chosen again
  });
}

function fromDrop(take) {
  const zone = byId("drop");
  let depth = 0; // dragenter and dragleave come for every element that is passed
  const mark = (change) => {
    depth = Math.max(0, depth + change);
    zone.classList.toggle("over", depth > 0);
  };
  const withFiles = (run) => (event) => {
    if (![...(event.dataTransfer?.types ?? [])].includes("Files")) return;
    event.preventDefault();
    run(event);
  };
  window.addEventListener(
    "dragenter",
    withFiles(() => mark(1)),
  );
  window.addEventListener(
    "dragleave",
    withFiles(() => mark(-1)),
  );
  window.addEventListener(
    "dragover",
    withFiles((event) => (event.dataTransfer.dropEffect = "copy")),
  );
  window.addEventListener(
    "drop",
    withFiles((event) => {
      mark(-depth);
      if (event.dataTransfer.files.length) take([...event.dataTransfer.files]);
    }),
  );
}
