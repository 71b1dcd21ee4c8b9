import { DatumPlugin } from "datum-sync/vue";
import { createApp } from "vue";

import { opening } from "./instance.ts";
import { setUp } from "./page.ts";
import App from "./vue.vue";
import source from "./vue.vue?raw";

createApp(App).use(DatumPlugin, opening).mount(setUp("vue.vue", source));
