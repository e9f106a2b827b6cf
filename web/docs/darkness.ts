/** Swagger UI is dark by a class; the other pages by the system, or by what was chosen. */

/** Keep the class as the theme is: `data-theme` where there is one, else the system's. */
export function followDarkness(root: HTMLElement, system: MediaQueryList): void {
  const show = () => {
    const chosen = root.dataset.theme;
    root.classList.toggle("dark-mode", chosen ? chosen === "dark" : system.matches);
  };
  system.addEventListener("change", show);
  new MutationObserver(show).observe(root, { attributeFilter: ["data-theme"] });
  show();
}
