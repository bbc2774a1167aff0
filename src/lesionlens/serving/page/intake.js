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
  button.onclick = () => input.click();
  input.onchange = () => {
    if (input.files.length) take([...input.files]);
    input.value = ""; // the same file may be chosen again
  };
}

function fromDrop(take) {
  let depth = 0; // dragenter and dragleave fire for every element on the way
  const mark = (change) => {
    depth = Math.max(0, depth + change);
    byId("drop").classList.toggle("over", depth > 0);
  };
  const steps = {
    dragenter: () => mark(1),
    dragleave: () => mark(-1),
    dragover: (transfer) => (transfer.dropEffect = "copy"),
    drop: (transfer) => {
      mark(-depth);
      if (transfer.files.length) take([...transfer.files]);
    },
  };
  for (const [name, run] of Object.entries(steps))
    window.addEventListener(name, (event) => {
      if (![...(event.dataTransfer?.types ?? [])].includes("Files")) return;
      event.preventDefault();
      run(event.dataTransfer);
    });
}
