// What a console and Node's `util.inspect` show of the package's objects, which have nothing but a pointer of the engine and a
// minified class. Never values of entities.

/** Names the objects of a class; `words` says more of one. */
export function show(Class, name, words = () => "") {
  const text = {
    value() {
      try {
        return `${name} ${words(this)}`.trim();
      } catch {
        // A prototype, or an object that the engine has given up.
        return name;
      }
    },
    configurable: true,
    writable: true,
  };
  Object.defineProperties(Class.prototype, { [Symbol.toStringTag]: tag(name), toString: text, [Symbol.for("nodejs.util.inspect.custom")]: text });
}

/** Returns the tag of an object or a class. A value: Chromium's console takes it for the name of the class, and asks no getter. */
export const tag = (value) => ({ value, configurable: true, writable: true });

/** Adds to an instance what a console shows of it: its name at once, how it is where one asks for that. */
export function label(datum, value, isOpen) {
  Object.defineProperties(datum, { name: { value, enumerable: true }, [Symbol("now")]: { get: () => state(datum, isOpen()), enumerable: true } });
}

/** Says how an instance is. */
export function state(datum, isOpen) {
  if (datum.name === undefined) return "";
  if (!isOpen) return `"${datum.name}", closed`;
  const user = datum.currentUserId;
  if (user === null) return `"${datum.name}", nobody is signed in`;
  const { status, pendingOperations, online } = datum.statusForUser(user).current;
  return `"${datum.name}" of ${user}: ${status}, ${pendingOperations} pending${online ? "" : ", offline"}`;
}
