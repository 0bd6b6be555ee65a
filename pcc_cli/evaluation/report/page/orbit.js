// The camera that turns about a target: mouse, touch, wheel and keys.
const sum = (a, b, factor = 1) => a.map((value, axis) => value + factor * b[axis]);
const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
const scaled = (a, factor) => a.map((value) => value * factor);
const unit = (a) => scaled(a, 1 / (Math.hypot(...a) || 1));

class Orbit {
  // view : { position, target, up, fov } as Python's camera; positions are counted from the target
  constructor(view) {
    this.up = unit(view.up);
    this.fov = (view.fov * Math.PI) / 180;
    this.origin = view.target;
    const back = sum(view.position, view.target, -1);
    const side = Math.abs(this.up[0]) < 0.9 ? [1, 0, 0] : [0, 1, 0];
    this.east = unit(sum(side, this.up, -dot(side, this.up)));
    this.north = cross(this.up, this.east);
    this.start = {
      distance: Math.hypot(...back),
      turn: Math.atan2(dot(back, this.north), dot(back, this.east)),
      lift: Math.asin(dot(unit(back), this.up)),
      shift: [0, 0, 0],
    };
    this.reset();
  }

  reset() {
    Object.assign(this, structuredClone(this.start));
  }

  rotate(across, down) {
    this.turn -= across;
    this.lift = Math.min(Math.max(this.lift + down, -1.55), 1.55);
  }

  zoom(factor) {
    this.distance = Math.min(Math.max(this.distance * factor, 0.02 * this.start.distance), 6 * this.start.distance);
  }

  axes() {
    const level = sum(scaled(this.east, Math.cos(this.turn)), this.north, Math.sin(this.turn));
    const back = sum(scaled(level, Math.cos(this.lift)), this.up, Math.sin(this.lift));
    const right = unit(cross(this.up, back));
    return { right, top: cross(back, right), back };
  }

  // In parts of the height of the picture.
  pan(across, down) {
    const { right, top } = this.axes();
    const reach = 2 * this.distance * Math.tan(this.fov / 2);
    this.shift = sum(sum(this.shift, right, -across * reach), top, down * reach);
  }

  // matrix : column by column, from places counted from the target to clip space
  // focal : pixels of one unit at a distance of one
  camera(width, height) {
    const { right, top, back } = this.axes();
    const narrow = Math.min(1, width / height / 1.1); // a small screen sees as much
    const cot = narrow / Math.tan(this.fov / 2);
    const eye = sum(this.shift, back, this.distance);
    const [near, far] = [0.01 * this.start.distance, 20 * this.start.distance];
    const rows = [
      [...scaled(right, (cot * height) / width), (-dot(right, eye) * cot * height) / width],
      [...scaled(top, cot), -dot(top, eye) * cot],
      [...scaled(back, -(far + near) / (far - near)), (dot(back, eye) * (far + near) - 2 * far * near) / (far - near)],
      [...scaled(back, -1), dot(back, eye)],
    ];
    const matrix = new Float32Array(16);
    rows.forEach((row, at) => row.forEach((value, column) => (matrix[4 * column + at] = value)));
    return { matrix, focal: 0.5 * height * cot };
  }
}

function steer(canvas, orbit, redraw) {
  const fingers = new Map();
  const middle = () => {
    const all = [...fingers.values()];
    const centre = [0, 1].map((axis) => all.reduce((total, spot) => total + spot[axis], 0) / all.length);
    const reach = all.length > 1 ? Math.hypot(all[0][0] - all[1][0], all[0][1] - all[1][1]) : 0;
    return { centre, reach };
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, [event.clientX, event.clientY]);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!fingers.has(event.pointerId)) return;
    const before = middle();
    fingers.set(event.pointerId, [event.clientX, event.clientY]);
    const after = middle();
    const [across, down] = [0, 1].map((axis) => (after.centre[axis] - before.centre[axis]) / canvas.clientHeight);
    const panning = fingers.size > 1 || event.shiftKey || event.buttons === 2;
    if (panning) orbit().pan(across, down);
    else orbit().rotate(3 * across, 3 * down);
    if (before.reach && after.reach) orbit().zoom(before.reach / after.reach);
    redraw();
  });
  for (const name of ["pointerup", "pointercancel"])
    canvas.addEventListener(name, (event) => fingers.delete(event.pointerId));
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    orbit().zoom(Math.exp(0.0012 * event.deltaY));
    redraw();
  }, { passive: false });
  canvas.addEventListener("dblclick", () => { orbit().reset(); redraw(); });
  const keys = {
    ArrowLeft: [-0.08, 0], ArrowRight: [0.08, 0], ArrowUp: [0, -0.08], ArrowDown: [0, 0.08],
    "+": 0.88, "=": 0.88, "-": 1.14, "0": null,
  };
  canvas.addEventListener("keydown", (event) => {
    if (!(event.key in keys)) return;
    event.preventDefault();
    const key = keys[event.key];
    if (key === null) orbit().reset();
    else if (Array.isArray(key)) orbit().rotate(...key);
    else orbit().zoom(key);
    redraw();
  });
}
