/** What the panel shows, as data, and how it becomes elements. Every text becomes a text node: nothing is ever parsed as HTML. */

/** An attribute's value; a handler, if the name begins with `on`. False and undefined leave it out. */
type Prop = string | number | boolean | undefined | ((event: any) => void);

/** Attributes and handlers. `key` tells two elements of one place apart. */
export interface Props {
  readonly [name: string]: Prop;
}

/** An element in the making. */
export interface View {
  readonly tag: string;
  readonly props: Props;
  readonly children: readonly Child[];
  /** An element that takes care of itself, instead of one that is made. */
  readonly own?: HTMLElement;
}

export type Child = View | string | number | false | null | undefined;

/** What an element was made from. */
interface Made {
  view: View;
  handlers: Map<string, (event: any) => void>;
}

const made = new WeakMap<Element, Made>();

/** Returns a text as it is shown: characters that would turn the words around it are shown as JSON writes them. */
export const shown = (text: string): string => text.replace(/[\u202a-\u202e\u2066-\u2069]/g, (it) => `\\u${it.charCodeAt(0).toString(16)}`);

/** Attributes that are read by people. */
const READ = new Set(["title", "aria-label"]);

/** Describes an element. */
export const h = (tag: string, props: Props = {}, ...children: readonly Child[]): View => ({ tag, props, children });

/** Describes the place of an element that takes care of itself. */
export const own = (element: HTMLElement): View => ({ tag: "", props: {}, children: [], own: element });

/** Makes the children of an element those that are described, and keeps what is there already, with its focus and its scrolling. */
export function patch(parent: Element, children: readonly Child[]): void {
  const wanted = children.filter((child): child is View | string | number => child !== null && child !== undefined && child !== false);
  for (const [index, child] of wanted.entries()) {
    const present = parent.childNodes[index];
    if (typeof child !== "object") {
      const text = shown(String(child));
      if (present?.nodeType === 3) {
        if (present.nodeValue !== text) present.nodeValue = text;
      } else {
        replace(parent, present, document.createTextNode(text));
      }
    } else if (child.own !== undefined) {
      if (present !== child.own) replace(parent, present, child.own);
    } else if (present instanceof Element && isSame(made.get(present)?.view, child)) {
      update(present, child);
    } else {
      const element = document.createElement(child.tag);
      made.set(element, { view: h(child.tag), handlers: new Map() });
      update(element, child);
      replace(parent, present, element);
    }
  }
  while (parent.childNodes.length > wanted.length) parent.lastChild?.remove();
}

function replace(parent: Element, present: ChildNode | undefined, node: Node): void {
  if (present === undefined) parent.append(node);
  else present.replaceWith(node);
}

const isSame = (a: View | undefined, b: View) => a !== undefined && a.tag === b.tag && a.props["key"] === b.props["key"];

function update(element: Element, view: View): void {
  const known = made.get(element);
  if (known === undefined) return;
  for (const name of Object.keys(known.view.props)) if (!(name in view.props)) set(element, known, name, undefined);
  for (const [name, value] of Object.entries(view.props)) if (known.view.props[name] !== value || name === "value" || name === "checked") set(element, known, name, value);
  known.view = view;
  patch(element, view.children);
}

function set(element: Element, known: Made, name: string, value: Prop): void {
  if (name === "key") return;
  if (name.startsWith("on")) {
    const type = name.slice(2);
    if (!known.handlers.has(name)) element.addEventListener(type, (event) => known.handlers.get(name)?.(event));
    known.handlers.set(name, typeof value === "function" ? value : () => {});
  } else if ((name === "value" && element.localName !== "option") || name === "checked") {
    // The attribute is only what they begin with.
    const field = element as HTMLInputElement;
    if (name === "checked") field.checked = value === true;
    else if (field.value !== String(value ?? "")) field.value = String(value ?? "");
  } else if (name.startsWith("--")) {
    // An attribute `style` would be refused by many a content security policy.
    (element as HTMLElement).style.setProperty(name, String(value ?? ""));
  } else if (value === undefined || value === false) {
    element.removeAttribute(name);
  } else {
    element.setAttribute(name, value === true ? "" : READ.has(name) ? shown(String(value)) : String(value));
  }
}

/** Calls `work` once in the next frame, however often it is asked for. A hidden page has no frames. */
export class Frame {
  #request = 0;
  readonly #work: () => void;

  constructor(work: () => void) {
    this.#work = work;
  }

  ask(): void {
    if (this.#request !== 0) return;
    this.#request = requestAnimationFrame(() => {
      this.#request = 0;
      this.#work();
    });
  }

  stop(): void {
    cancelAnimationFrame(this.#request);
    this.#request = 0;
  }
}
