// Before the first paint: the theme that was chosen here the last time, else the system's.
try {
  const chosen = localStorage.getItem("taskqueue.theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // A browser that keeps nothing follows the system.
}
