// Runs before the first paint, so that a chosen theme does not flash. A file of its own: the page's
// policy allows no inline script.
try {
  const theme = localStorage.getItem("datum-demo-theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // Storage is refused: the system's theme it is.
}
