// Points as `packing.py` packs them: columns of differences, deflated, in base64.
const unpackedShapes = new Map();

async function inflate(text) {
  const packed = Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function unpackShape(name) {
  if (!unpackedShapes.has(name)) unpackedShapes.set(name, unpack(DATA.shapes[name]));
  return unpackedShapes.get(name);
}

// positions : 3 n floats in units of the file; colours : 3 n bytes; errors : n bytes
async function unpack(shape) {
  const bytes = await inflate(shape.columns);
  const n = shape.count;
  const positions = new Float32Array(3 * n);
  const colours = new Uint8Array(3 * n);
  for (let axis = 0; axis < 3; axis++) {
    let place = 0;
    let shade = 0;
    for (let i = 0; i < n; i++) {
      place = (place + bytes[2 * axis * n + i] + 256 * bytes[(2 * axis + 1) * n + i]) & 0xffff;
      shade = (shade + bytes[(6 + axis) * n + i]) & 0xff;
      positions[3 * i + axis] = shape.low[axis] + place * shape.step;
      colours[3 * i + axis] = shade;
    }
  }
  return { ...shape, positions, colours, errors: bytes.subarray(9 * n, 10 * n) };
}
