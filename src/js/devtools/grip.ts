/** The edge of the panel, by which it is made larger and smaller: by pointer and by keys. */

import { h, type View } from "./dom.js";
import { LEAST } from "./settings.js";
import type { DockSide } from "./surface.js";

/** How far one press of a key moves it, in pixels. */
const STEP = 24;

/** Returns the edge. `resize` gets the wanted size, as often as it changes. */
export function grip(dock: DockSide, size: number, most: number, resize: (size: number) => void): View {
  const isBottom = dock === "bottom";
  const clamped = (wanted: number) => resize(Math.round(Math.max(LEAST, Math.min(most, wanted))));
  return h("div", {
    class: "grip",
    role: "separator",
    tabindex: 0,
    "aria-label": "Size of the panel",
    "aria-orientation": isBottom ? "horizontal" : "vertical",
    "aria-valuemin": LEAST,
    "aria-valuemax": most,
    "aria-valuenow": size,
    onkeydown: (event: KeyboardEvent) => {
      const larger = isBottom ? "ArrowUp" : "ArrowLeft";
      const smaller = isBottom ? "ArrowDown" : "ArrowRight";
      const wanted = { [larger]: size + STEP, [smaller]: size - STEP, Home: LEAST, End: most }[event.key];
      if (wanted === undefined) return;
      event.preventDefault();
      clamped(wanted);
    },
    onpointerdown: (event: PointerEvent) => {
      const edge = event.currentTarget as HTMLElement;
      edge.setPointerCapture(event.pointerId);
      const [from, at] = [size, isBottom ? event.clientY : event.clientX];
      const move = (moved: PointerEvent) => clamped(from + at - (isBottom ? moved.clientY : moved.clientX));
      const end = () => {
        edge.removeEventListener("pointermove", move);
        edge.removeEventListener("lostpointercapture", end);
      };
      edge.addEventListener("pointermove", move);
      edge.addEventListener("lostpointercapture", end);
      event.preventDefault();
    },
  });
}
