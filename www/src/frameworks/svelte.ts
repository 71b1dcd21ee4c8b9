import { mount } from "svelte";

import { setUp } from "./page.ts";
import Tasks from "./svelte.svelte";
import source from "./svelte.svelte?raw";
import Root from "./root.svelte";

mount(Root, { target: setUp("svelte.svelte", source), props: { part: Tasks } });
