/** The API as its document describes it, in Swagger UI: read it, and try it on this gateway. */

import { createRoot } from "react-dom/client";
import SwaggerUI from "swagger-ui-dist/swagger-ui-es-bundle.js";
import "swagger-ui-dist/swagger-ui.css";
import "../theme/theme.css";
import "./docs.css";
import licences from "swagger-ui-dist/swagger-ui-es-bundle.js.LICENSE.txt?url";
import { Masthead } from "../theme/Masthead.tsx";
import { showTheme } from "../theme/theme.ts";
import { followDarkness } from "./darkness.ts";

showTheme();
followDarkness(document.documentElement, matchMedia("(prefers-color-scheme: dark)"));
createRoot(document.getElementById("masthead") as HTMLElement).render(<Masthead page="API" />);
createRoot(document.getElementById("colophon") as HTMLElement).render(
  <p>
    <a href="openapi.json">The OpenAPI document</a>. Shown by Swagger UI, © SmartBear Software Inc.
    Licences: <a href="static/licences.txt">of what the pages are made of</a>,{" "}
    <a href={licences}>of Swagger UI&apos;s own parts</a>.
  </p>,
);

const api = document.getElementById("api") as HTMLElement;

/** The document, asked for at the gateway that the page came from, wherever its name leads. */
async function read(): Promise<object> {
  const response = await fetch("openapi.json");
  if (!response.ok) throw new Error(`The gateway answered ${response.status}.`);
  const here = new URL(".", location.href).href.replace(/\/$/, "");
  return { ...((await response.json()) as object), servers: [{ url: here }] };
}

function show(spec: object): void {
  SwaggerUI({
    domNode: api,
    spec,
    deepLinking: true,
    filter: true,
    docExpansion: "list",
    defaultModelsExpandDepth: 0,
    // What it was given as a credential stays on this page.
    persistAuthorization: false,
    // No badge of a public checker: nothing from elsewhere is loaded.
    validatorUrl: null,
    // A page's address must not choose what it shows, nor where requests go.
    queryConfigEnabled: false,
    tryItOutEnabled: false,
  });
}

read().then(show, (error: Error) => {
  api.textContent = `The API's document could not be read: ${error.message} Load the page again.`;
});
