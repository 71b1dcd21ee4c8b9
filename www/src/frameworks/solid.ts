import { createComponent, render } from "solid-js/web";

import { setUp } from "./page.ts";
import { App } from "./solid.tsx";
import source from "./solid.tsx?raw";

render(() => createComponent(App, {}), setUp("solid.tsx", source));
