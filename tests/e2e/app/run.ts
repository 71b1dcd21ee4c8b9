// Runs the page that the URL names: `/?page=sync`.
const pages = import.meta.glob("./pages/*.ts");
const name = new URLSearchParams(location.search).get("page");
const page = pages[`./pages/${name}.ts`];
if (!page) throw new Error(`there is no page ${name}`);
await page();
document.documentElement.dataset["page"] = "ended";
