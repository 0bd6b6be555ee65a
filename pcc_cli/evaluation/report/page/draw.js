// Two ways to draw points: WebGL, and a plain canvas where there is none. Both are
// (canvas) -> (points, camera) -> void, where points are { count, positions, colours, spacing }.
const VERTEX = `
attribute vec3 position; attribute vec3 colour;
uniform mat4 matrix; uniform float size; varying vec3 shade;
void main() {
  gl_Position = matrix * vec4(position, 1.0);
  gl_PointSize = clamp(size / gl_Position.w, 1.5, 48.0);
  shade = colour;
}`;
const FRAGMENT = `
precision mediump float; varying vec3 shade;
void main() {
  vec2 away = gl_PointCoord - 0.5;
  float square = dot(away, away);
  if (square > 0.25) discard;
  gl_FragColor = vec4(shade * (1.0 - 0.55 * square), 1.0);
}`;
const GROWTH = 1.7; // a point is drawn that many spacings wide, so that surfaces close

function glDrawer(canvas) {
  const gl = canvas.getContext("webgl", { antialias: true, preserveDrawingBuffer: true });
  if (!gl) return null;
  const program = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) return null;
  gl.useProgram(program);
  gl.enable(gl.DEPTH_TEST);
  const buffers = { position: gl.createBuffer(), colour: gl.createBuffer() };
  let loaded = null;
  const load = (points) => {
    for (const [name, values, kind, unit] of [
      ["position", points.centred, gl.FLOAT, false],
      ["colour", points.colours, gl.UNSIGNED_BYTE, true],
    ]) {
      const where = gl.getAttribLocation(program, name);
      gl.bindBuffer(gl.ARRAY_BUFFER, buffers[name]);
      gl.bufferData(gl.ARRAY_BUFFER, values, gl.STATIC_DRAW);
      gl.enableVertexAttribArray(where);
      gl.vertexAttribPointer(where, 3, kind, unit, 0, 0);
    }
    loaded = points;
  };
  return (points, camera) => {
    if (loaded !== points) load(points);
    gl.viewport(0, 0, canvas.width, canvas.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    gl.uniformMatrix4fv(gl.getUniformLocation(program, "matrix"), false, camera.matrix);
    gl.uniform1f(gl.getUniformLocation(program, "size"), GROWTH * points.spacing * camera.focal);
    gl.drawArrays(gl.POINTS, 0, points.count);
  };
}

function planeDrawer(canvas) {
  const context = canvas.getContext("2d");
  return (points, camera) => {
    const { width, height } = canvas;
    const image = context.createImageData(width, height);
    const pixels = new Uint32Array(image.data.buffer);
    const depth = new Float32Array(width * height).fill(Infinity);
    const [m, p, c] = [camera.matrix, points.centred, points.colours];
    for (let i = 0; i < 3 * points.count; i += 3) {
      const w = m[3] * p[i] + m[7] * p[i + 1] + m[11] * p[i + 2] + m[15];
      if (w <= 0) continue;
      const x = (0.5 + (0.5 * (m[0] * p[i] + m[4] * p[i + 1] + m[8] * p[i + 2] + m[12])) / w) * width;
      const y = (0.5 - (0.5 * (m[1] * p[i] + m[5] * p[i + 1] + m[9] * p[i + 2] + m[13])) / w) * height;
      const half = Math.min(Math.max((0.5 * GROWTH * points.spacing * camera.focal) / w, 0.75), 12);
      const shade = 0xff000000 | (c[i + 2] << 16) | (c[i + 1] << 8) | c[i];
      const right = Math.min(x + half, width);
      const below = Math.min(y + half, height);
      for (let row = Math.max(Math.round(y - half), 0); row < below; row++)
        for (let column = Math.max(Math.round(x - half), 0); column < right; column++) {
          const at = row * width + column;
          if (w < depth[at]) {
            depth[at] = w;
            pixels[at] = shade;
          }
        }
    }
    context.putImageData(image, 0, 0);
  };
}
