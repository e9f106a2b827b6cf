/** A chart over time, by uPlot: a canvas that says in words what it shows. */

import { useEffect, useRef } from "react";
import uPlot from "uplot";
import { useDarkness } from "./useDarkness.ts";
import { dated } from "./words.ts";

export interface Curve {
  label: string;
  /** A colour of the theme: `--accent`. */
  colour: string;
  kind: "line" | "area" | "dots" | "bars";
  /** How a value is written. */
  written: (value: number) => string;
}

interface Chart {
  /** What is seen, for who does not see it. */
  label: string;
  /** Seconds since the epoch, ascending; then the values of each curve. */
  data: readonly (readonly (number | null)[])[];
  curves: readonly Curve[];
  height?: number;
  /** At least this much is shown; the axis begins at 0. */
  least?: number;
}

export function Chart({ label, data, curves, height = 200, least = 1 }: Chart) {
  const frame = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const dark = useDarkness();
  const shape = JSON.stringify(curves.map(({ label, colour, kind }) => [label, colour, kind]));

  // Painted anew when it looks different.
  useEffect(() => {
    const element = frame.current as HTMLDivElement;
    const made = new uPlot(
      options(element, curves, height, least),
      data as uPlot.AlignedData,
      element,
    );
    plot.current = made;
    const observer = new ResizeObserver(() =>
      made.setSize({ width: element.clientWidth, height: height }),
    );
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [dark, shape, height, least]);

  useEffect(() => {
    plot.current?.setData(data as uPlot.AlignedData);
  }, [data]);

  return <div className="chart" ref={frame} role="img" aria-label={label} />;
}

const DAY_S = 86_400;
/** Between two times on the axis: seconds, minutes, hours, days. */
const STEPS_S = [
  ...[1, 5, 10, 15, 30],
  ...[1, 2, 5, 10, 15, 30].map((minutes) => minutes * 60),
  ...[1, 2, 3, 6, 12].map((hours) => hours * 3600),
  ...[1, 2, 3, 7, 14, 30].map((days) => days * DAY_S),
];
const WHOLE_DAYS = [1, 2, 4, 7, 14, 30].map((days) => days * DAY_S);

function options(
  element: HTMLElement,
  curves: readonly Curve[],
  height: number,
  least: number,
): uPlot.Options {
  const colour = resolver(element);
  const [ink, grid] = [colour("--soft"), colour("--line")];
  const font = "12px system-ui, sans-serif";
  const [first] = curves;
  const bars = curves.some(({ kind }) => kind === "bars");
  return {
    width: element.clientWidth,
    height,
    padding: [10, 30, 0, 0],
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
    legend: {
      live: true,
      markers: {
        width: 0,
        fill: (_plot, nth) => colour(curves[nth - 1]?.colour ?? "--ink"),
      },
    },
    scales: {
      x: { time: true, range: bars ? roomForBars : roomToGrow },
      y: { range: (_plot, _least, most) => [0, Math.max(least, (most ?? 0) * 1.08)] },
    },
    axes: [
      {
        stroke: ink,
        font,
        grid: { show: false },
        ticks: { show: false },
        space: 76,
        size: 28,
        incrs: bars ? WHOLE_DAYS : STEPS_S,
        values: (_plot, splits, _axis, _space, step) =>
          splits.map((at) => dated(at, bars ? "UTC" : undefined, step)),
      },
      {
        stroke: ink,
        font,
        grid: { stroke: grid, width: 1 },
        ticks: { show: false },
        size: 56,
        space: 36,
        values: (_plot, splits) => splits.map((value) => first?.written(value) ?? ""),
      },
    ],
    // The gateway's days are UTC's.
    ...(bars && { tzDate: (at: number) => uPlot.tzDate(new Date(at * 1000), "UTC") }),
    series: [
      {
        value: (_plot, at) =>
          at === null ? "" : dated(at, bars ? "UTC" : undefined, bars ? DAY_S : 1),
      },
      ...curves.map((curve) => series(curve, colour(curve.colour))),
    ],
  };
}

function series({ label, kind, written }: Curve, colour: string): uPlot.Series {
  const value = (_plot: uPlot, raw: number | null) => (raw === null ? "" : written(raw));
  const common: uPlot.Series = { label, value, stroke: colour, width: 1.75 };
  const wash = `color-mix(in srgb, ${colour} 14%, transparent)`;
  if (kind === "dots") {
    const points = { show: true, size: 5, space: 0, stroke: colour, fill: colour };
    return { ...common, paths: () => null, points };
  }
  if (kind === "bars") {
    const paths = uPlot.paths.bars?.({ size: [0.62, 46], radius: 0.12 });
    return { ...common, width: 0, fill: colour, points: { show: false }, ...(paths && { paths }) };
  }
  return { ...common, points: { show: false }, ...(kind === "area" && { fill: wash }) };
}

/** Half a bar beyond the first and the last day. */
function roomForBars(_plot: uPlot, least: number | null, most: number | null): [number, number] {
  return [(least ?? 0) - DAY_S * 0.6, (most ?? DAY_S) + DAY_S * 0.6];
}

/** A line that has just begun does not fill the whole width. */
function roomToGrow(_plot: uPlot, least: number | null, most: number | null): [number, number] {
  const end = most ?? Date.now() / 1000;
  return [Math.min(least ?? end, end - 60), end];
}

/** Colours of the theme as a canvas wants them: `light-dark()` is known to styles only. */
function resolver(element: HTMLElement): (name: string) => string {
  const probe = element.appendChild(document.createElement("i"));
  const found = new Map<string, string>();
  const resolve = (name: string) => {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  };
  queueMicrotask(() => probe.remove());
  return (name) => {
    const colour = found.get(name) ?? resolve(name);
    found.set(name, colour);
    return colour;
  };
}
