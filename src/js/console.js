// What the browser's console and Node's `util.inspect` show of the package's objects, which have nothing but a pointer of the
// engine. Never values of entities.

/** Names a class's objects in the console, with what `words` says of one. */
export function show(Class, name, words = () => "") {
  const text = (object) => {
    try {
      return `${name} ${words(object)}`.trim();
    } catch {
      // A prototype, or an object that the engine has given up.
      return name;
    }
  };
  Object.defineProperties(Class.prototype, {
    [Symbol.toStringTag]: {
      get() {
        return text(this);
      },
      configurable: true,
    },
    [Symbol.for("nodejs.util.inspect.custom")]: {
      value() {
        return text(this);
      },
      configurable: true,
      writable: true,
    },
  });
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
