import { Datum } from "datum-sync";

const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
worker.onmessage = ({ data }) => (document.title = Datum.isInitialized ? "the page opened it" : data);
