// Pictures and the view that can be turned: one choice of file and row for both. Volumes have
// pictures only, and where there is nothing else there is no stage.
const file = byId("view-file");

if (file) {
  const row = byId("view-row");
  const stage = byId("stage");
  const buttons = [...document.querySelectorAll("#view-mode button")];
  const draw = stage && (glDrawer(stage) || planeDrawer(stage));
  const orbits = new Map();
  const stops = DATA.ramp.map((stop) => [1, 3, 5].map((at) => parseInt(stop.slice(at, at + 2), 16)));
  let mode = "reconstruction";
  let shown = null;
  let asked = 0;

  const exhibit = () => DATA.exhibits[Number(row.value)];
  const orbit = () => {
    const { original, camera } = exhibit();
    if (!orbits.has(original)) orbits.set(original, new Orbit(camera));
    return orbits.get(original);
  };

  function errorColours(errors) {
    const colours = new Uint8Array(3 * errors.length);
    errors.forEach((error, i) => {
      const place = (error / 255) * (stops.length - 1);
      const left = Math.min(Math.floor(place), stops.length - 2);
      for (let k = 0; k < 3; k++)
        colours[3 * i + k] = stops[left][k] + (place - left) * (stops[left + 1][k] - stops[left][k]);
    });
    return colours;
  }

  // Counted from the target, so that single precision suffices wherever on earth a scan is.
  function centred(positions) {
    const origin = orbit().origin;
    return positions.map((value, at) => value - origin[at % 3]);
  }

  let waiting = false;
  function redraw() {
    if (waiting || !shown) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      const ratio = Math.min(devicePixelRatio, 2);
      const [width, height] = [stage.clientWidth * ratio, stage.clientHeight * ratio].map(Math.round);
      if (stage.width !== width || stage.height !== height) Object.assign(stage, { width, height });
      draw(shown, orbit().camera(width, height));
      stage.dataset.drawn = `${row.value} ${mode}`;
    });
  }

  async function show() {
    const turn = ++asked;
    document.querySelectorAll(".exhibit").forEach((one) => (one.hidden = one.dataset.exhibit !== row.value));
    buttons.forEach((button) => button.setAttribute("aria-pressed", button.value === mode));
    if (stage) byId("turn").hidden = !exhibit().camera;
    if (!exhibit().camera) return;
    const shape = await unpackShape(mode === "original" ? exhibit().original : exhibit().reconstruction);
    if (turn !== asked) return;
    const colours = mode === "error" ? errorColours(shape.errors) : shape.colours;
    shown = { ...shape, colours, centred: centred(shape.positions) };
    redraw();
  }

  function offerRows() {
    const places = [...DATA.exhibits.keys()].filter((at) => DATA.exhibits[at].file === file.value);
    options(row, places, places.map((at) => DATA.exhibits[at].label));
  }

  options(file, [...new Set(DATA.exhibits.map((one) => one.file))]);
  offerRows();
  file.addEventListener("change", () => { offerRows(); show(); });
  row.addEventListener("change", show);
  buttons.forEach((button) => button.addEventListener("click", () => { mode = button.value; show(); }));
  if (stage) {
    byId("view-reset").addEventListener("click", () => { orbit().reset(); redraw(); });
    addEventListener("resize", redraw);
    steer(stage, orbit, redraw);
  }
  show();
}
