import { createRoot } from "react-dom/client";

createRoot(document.getElementById("root") as HTMLElement).render(
  <main>
    <h1>API</h1>
    <p>
      This page is not written yet. Meanwhile: <a href="openapi.json">the API document</a>,{" "}
      <a href="health">how the gateway is</a>.
    </p>
  </main>,
);
