// Rate-distortion curves: one plot for each metric of the chosen file, drawn at the size of its place.
const plotFile = byId("plot-file");
const plotLog = byId("plot-log");
const SVG = "http://www.w3.org/2000/svg";
const MARGIN = { left: 46, right: 14, top: 12, bottom: 40 };

function svg(name, attributes, parent, text) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  if (parent) parent.append(node);
  return node;
}

function steps(low, high, count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((factor) => factor * power >= rough) * power;
  const ticks = [];
  for (let tick = Math.ceil(low / step) * step; tick <= high + step * 1e-6; tick += step) ticks.push(tick);
  return ticks.map((tick) => Number(tick.toPrecision(6)));
}

function powers(low, high) {
  const ticks = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++)
    for (const factor of [1, 2, 5]) ticks.push(factor * 10 ** power);
  const inside = ticks.filter((tick) => tick >= low && tick <= high);
  return inside.length > 7 ? inside.filter((tick) => /^0*\.?0*1/.test(String(tick))) : inside;
}

// A scale from values to pixels.
function scale(low, high, from, to, logarithmic) {
  const of = logarithmic ? Math.log : (value) => value;
  return (value) => from + ((of(value) - of(low)) / (of(high) - of(low) || 1)) * (to - from);
}

function curvesOf(rows, key) {
  return DATA.codecs
    .map((codec) => ({
      codec,
      spots: rows
        .filter((row) => row.codec === codec && typeof row.metrics[key] === "number")
        .sort((a, b) => a.bpp - b.bpp),
      exact: rows.filter((row) => row.codec === codec && row.lossless),
    }))
    .filter((curve) => curve.spots.length || curve.exact.length);
}

function describe(row, metric) {
  const value = row.lossless ? "lossless" : `${row.metrics[metric.key].toFixed(metric.digits)} ${metric.unit}`;
  return [`${row.codec} · ${row.setting}`, `${number(row.bpp, 4)} bits per ${row.noun}`, `${metric.title}: ${value}`];
}

function marker(row, metric, x, y, place) {
  const spot = svg("circle", { class: "spot", cx: x, cy: y, r: 5, tabindex: 0, role: "img", fill: colourOf(row.codec) }, place.root);
  const lines = describe(row, metric);
  spot.setAttribute("aria-label", lines.join(", "));
  const show = () => {
    place.tip.replaceChildren(...lines.flatMap((line, at) => (at ? [document.createElement("br"), line] : [line])));
    place.tip.classList.add("on");
    const left = Math.min(Math.max(x - place.tip.offsetWidth / 2, 0), place.width - place.tip.offsetWidth);
    place.tip.style.left = `${left}px`;
    place.tip.style.top = `${y < 90 ? y + 16 : y - place.tip.offsetHeight - 12}px`;
    spot.setAttribute("r", 7);
  };
  const hide = () => {
    place.tip.classList.remove("on");
    spot.setAttribute("r", 5);
  };
  for (const event of ["pointerenter", "focus"]) spot.addEventListener(event, show);
  for (const event of ["pointerleave", "blur"]) spot.addEventListener(event, hide);
}

function axes(place, xs, ys, x, y, metric, noun) {
  const { root, width, height } = place;
  const floor = height - MARGIN.bottom;
  for (const tick of ys) {
    svg("line", { class: "grid", x1: MARGIN.left, x2: width - MARGIN.right, y1: y(tick), y2: y(tick) }, root);
    svg("text", { x: MARGIN.left - 8, y: y(tick) + 4, "text-anchor": "end" }, root, number(tick, 4));
  }
  for (const tick of xs) {
    svg("line", { class: "grid", x1: x(tick), x2: x(tick), y1: MARGIN.top, y2: floor }, root);
    svg("text", { x: x(tick), y: floor + 17, "text-anchor": "middle" }, root, number(tick, 4));
  }
  svg("text", { x: (MARGIN.left + width - MARGIN.right) / 2, y: height - 4, "text-anchor": "middle" }, root, `bits per input ${noun}`);
  root.setAttribute("aria-label", `${metric.title} over bits per ${noun}, ${plotFile.value}`);
}

function drawPlot(holder, metric, rows) {
  const curves = curvesOf(rows, metric.key);
  const root = holder.querySelector("svg");
  const width = holder.querySelector(".canvas").clientWidth;
  const place = { root, width, height: Math.round(Math.min(340, Math.max(260, width * 0.66))), tip: holder.querySelector(".tip") };
  root.replaceChildren();
  root.setAttribute("height", place.height);
  const spots = curves.flatMap((curve) => curve.spots);
  const rates = [...spots, ...curves.flatMap((curve) => curve.exact)].map((row) => row.bpp);
  const values = spots.map((row) => row.metrics[metric.key]);
  const logarithmic = plotLog.getAttribute("aria-pressed") === "true";
  const most = Math.max(...rates) * 1.04;
  const least = logarithmic ? Math.min(...rates) / 1.1 : 0;
  const room = (Math.max(...values) - Math.min(...values)) * 0.08 || 1;
  const [low, high] = [Math.min(...values) - room, Math.max(...values) + room];
  const x = scale(least, most, MARGIN.left, width - MARGIN.right, logarithmic);
  const y = scale(low, high, place.height - MARGIN.bottom, MARGIN.top, false);
  axes(place, logarithmic ? powers(least, most) : steps(0, most, width / 90), steps(low, high, 5), x, y, metric, rows[0].noun);
  for (const { codec, spots: along, exact } of curves) {
    for (const row of exact)
      svg("line", { class: "exact", stroke: colourOf(codec), x1: x(row.bpp), x2: x(row.bpp), y1: MARGIN.top, y2: place.height - MARGIN.bottom }, root);
    const points = along.map((row) => `${x(row.bpp)},${y(row.metrics[metric.key])}`).join(" ");
    svg("polyline", { class: "curve", stroke: colourOf(codec), points }, root);
  }
  for (const { spots: along, exact } of curves) {
    for (const row of exact) marker(row, metric, x(row.bpp), MARGIN.top, place);
    for (const row of along) marker(row, metric, x(row.bpp), y(row.metrics[metric.key]), place);
  }
}

function drawPlots() {
  const rows = DATA.rows.filter((row) => row.file === plotFile.value);
  for (const metric of DATA.metrics) {
    const holder = byId(`plot-${metric.key}`);
    if (!holder) continue;
    const drawn = rows.some((row) => typeof row.metrics[metric.key] === "number");
    holder.hidden = !drawn;
    if (drawn) drawPlot(holder, metric, rows);
  }
}

if (plotFile) {
  options(plotFile, DATA.curved);
  const usual = () => {
    const rates = DATA.rows.filter((row) => row.file === plotFile.value && row.bpp > 0).map((row) => row.bpp);
    plotLog.setAttribute("aria-pressed", Math.max(...rates) / Math.min(...rates) > 12);
  };
  plotFile.addEventListener("change", () => { usual(); drawPlots(); });
  plotLog.addEventListener("click", () => {
    plotLog.setAttribute("aria-pressed", plotLog.getAttribute("aria-pressed") !== "true");
    drawPlots();
  });
  usual();
  drawPlots();
  let width = innerWidth;
  addEventListener("resize", () => { if (innerWidth !== width) { width = innerWidth; drawPlots(); } });
}
