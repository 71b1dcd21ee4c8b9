import { StrictMode, createElement } from "react";
import { createRoot } from "react-dom/client";

import { setUp } from "./page.ts";
import { App } from "./react.tsx";
import source from "./react.tsx?raw";

createRoot(setUp("react.tsx", source)).render(createElement(StrictMode, null, createElement(App)));
