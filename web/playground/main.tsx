import { createRoot } from "react-dom/client";
import "../theme/theme.css";
import { Access } from "../access/access.ts";
import { showTheme } from "../theme/theme.ts";
import { Playground } from "./Playground.tsx";

showTheme();

createRoot(document.getElementById("root") as HTMLElement).render(
  <Playground access={new Access()} />,
);
