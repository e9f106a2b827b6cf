import { createRoot } from "react-dom/client";
import "uplot/dist/uPlot.min.css";
import "../theme/theme.css";
import "./style/page.css";
import "./style/figures.css";
import "./style/tables.css";
import "./style/chart.css";
import "./style/filters.css";
import "./style/request.css";
import "./style/dialogs.css";
import { Masthead } from "../theme/Masthead.tsx";
import { showTheme } from "../theme/theme.ts";
import { Dashboard } from "./Dashboard.tsx";

showTheme();
createRoot(document.getElementById("root") as HTMLElement).render(
  <>
    <Masthead page="Dashboard" />
    <Dashboard />
  </>,
);
