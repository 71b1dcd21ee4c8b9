// Runs before the first paint, so that the theme does not flash. It is a separate file because the
// page's content security policy forbids inline scripts.
try {
  const theme = localStorage.getItem("datum-demo-theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // localStorage is blocked: the system's theme applies.
}
