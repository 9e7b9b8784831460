// The few-shot curve as a drawing.

import { element } from "./dom.js";

const SPACE = "http://www.w3.org/2000/svg";
const WIDTH = 440;
const HEIGHT = 240;
const EDGE = { left: 44, right: 16, top: 14, bottom: 40 };

function svg(tag, attributes, text) {
  const made = document.createElementNS(SPACE, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

/** Joint and average goal accuracy against the number of support dialogues. */
export function curveChart(curve) {
  const most = Math.max(1, ...curve.wanted);
  const inner = { width: WIDTH - EDGE.left - EDGE.right, height: HEIGHT - EDGE.top - EDGE.bottom };
  const x = (shots) => EDGE.left + (shots / most) * inner.width;
  const y = (value) => EDGE.top + (1 - value) * inner.height;
  const said = curve.points.map(
    (point) => `${point.shots}: ${point.jga === null ? "none" : point.jga.toFixed(3)}`,
  );
  const chart = svg("svg", {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    class: "chart",
    role: "img",
    "aria-label": `Joint goal accuracy by support dialogues: ${said.join(", ")}`,
  });
  for (const value of [0, 0.25, 0.5, 0.75, 1]) {
    chart.append(
      svg("line", {
        class: "grid",
        x1: EDGE.left,
        x2: WIDTH - EDGE.right,
        y1: y(value),
        y2: y(value),
      }),
      svg(
        "text",
        { class: "tick", x: EDGE.left - 6, y: y(value) + 4, "text-anchor": "end" },
        value.toFixed(2),
      ),
    );
  }
  let last = -Infinity; // numbers that would stand in one another are left out
  for (const shots of curve.wanted) {
    if (x(shots) - last < 22) continue;
    last = x(shots);
    chart.append(
      svg("text", { class: "tick", x: x(shots), y: HEIGHT - 22, "text-anchor": "middle" }, shots),
    );
  }
  chart.append(
    svg(
      "text",
      { class: "tick", x: EDGE.left + inner.width / 2, y: HEIGHT - 4, "text-anchor": "middle" },
      "support dialogues",
    ),
  );
  const lines = [
    ["average_goal_accuracy", "goal", "average goal accuracy"],
    ["jga", "jga", "JGA"],
  ];
  for (const [key, kind, label] of lines) {
    const points = curve.points.filter((point) => typeof point[key] === "number");
    if (points.length === 0) continue;
    const way = points.map((point) => `${x(point.shots)},${y(point[key])}`).join(" ");
    chart.append(svg("polyline", { class: `line ${kind}`, points: way }));
    for (const point of points) {
      const dot = svg("circle", {
        class: `dot ${kind}`,
        cx: x(point.shots),
        cy: y(point[key]),
        r: 4,
      });
      dot.append(svg("title", {}, `${label} with ${point.shots}: ${point[key].toFixed(3)}`));
      chart.append(dot);
    }
  }
  const names = lines.map(([, kind, label]) => element("span", { class: `name ${kind}` }, label));
  return element("figure", {}, chart, element("figcaption", {}, names.reverse()));
}
