// Draws Gaussians with WebGL 2: EWA projection (Zwicker et al. 2001), sorted far to near, blended over the page.
// World and cameras have OpenCV axes (x right, y down, z forward). 32 bytes a Gaussian: see splat_page.py.

const WIDE = 2048;  // of the textures that hold the table and its order

const VERTEX = `#version 300 es
precision highp float; precision highp int; precision highp usampler2D;
uniform usampler2D table, order;
uniform mat3 cameraFromWorld;
uniform vec3 eye;
uniform vec2 focal, principal, size;  // pixels
uniform float widen, blur, cut;
out vec3 color; out float opacity; out vec2 offset;

vec4 bytes(uint v) { return vec4((uvec4(v) >> uvec4(0, 8, 16, 24)) & 255u) / 255.0; }
vec3 signedBytes(uint v) { return vec3((ivec3(v) << ivec3(24, 16, 8)) >> 24) / 127.0; }

mat3 rotation(vec4 q) {
  vec3 s = 2.0 * q.xyz, w = q.w * s, x = q.x * s, y = q.y * s; float zz = q.z * s.z;
  return mat3(1.0 - y.y - zz, x.y + w.z, x.z - w.y, x.y - w.z, 1.0 - x.x - zz, y.z + w.x, x.z + w.y, y.z - w.x, 1.0 - x.x - y.y);
}

void main() {
  gl_Position = vec4(0.0, 0.0, 2.0, 1.0);  // outside, unless it is seen
  const int wide = ${WIDE};
  int rank = gl_VertexID / 3, corner = gl_VertexID - 3 * rank, at = 2 * int(texelFetch(order, ivec2(rank % wide, rank / wide), 0).x);
  uvec4 first = texelFetch(table, ivec2(at % wide, at / wide), 0), second = texelFetch(table, ivec2(at % wide + 1, at / wide), 0);
  vec3 centre = uintBitsToFloat(first.xyz), ray = centre - eye, p = cameraFromWorld * ray;
  vec4 paint = bytes(first.w), seen = vec4(signedBytes(second.w), bytes(second.w).w);
  float beyond = acos(clamp(dot(normalize(ray), seen.xyz), -1.0, 1.0)) - 3.14159265 * seen.w;
  opacity = paint.a * (1.0 - smoothstep(0.35, 1.05, beyond));  // fades from 20 to 60 degrees beyond what any frame saw
  if (p.z < 1e-3 * length(ray) || opacity < 1.0 / 255.0) return;
  vec2 slope = p.xy / p.z, mean = focal * slope + principal;
  vec2 low = 0.15 * size, bound = clamp(mean, -low, size + low);
  slope = (bound - principal) / focal;  // the linearisation is wild far outside the image
  vec4 q = vec4(ivec4(uvec4(second.x << 16, second.x, second.y << 16, second.y)) >> 16) / 32767.0;
  mat3 m = cameraFromWorld * rotation(normalize(q));
  vec3 s = widen * exp(bytes(second.z).xyz * (255.0 / 16.0) - 10.0) / p.z;
  vec3 depth = vec3(m[0].z, m[1].z, m[2].z);
  vec3 across = focal.x * s * (vec3(m[0].x, m[1].x, m[2].x) - slope.x * depth);
  vec3 along = focal.y * s * (vec3(m[0].y, m[1].y, m[2].y) - slope.y * depth);
  float a = dot(across, across) + blur, b = dot(across, along), c = dot(along, along) + blur;
  float mid = 0.5 * (a + c), radius = length(vec2(0.5 * (a - c), b));
  vec2 major = abs(b) > 1e-6 * mid ? normalize(vec2(b, mid + radius - a)) : (a >= c ? vec2(1, 0) : vec2(0, 1));
  float reach = min(sqrt(2.0 * log(255.0 * opacity)), cut);  // beyond it, less than a grey level
  offset = reach * (corner == 0 ? vec2(0, 2) : vec2(1.7320508 * float(2 * corner - 3), -1));  // a triangle about the circle
  vec2 pixel = mean + offset.x * sqrt(mid + radius) * major + offset.y * sqrt(max(mid - radius, 0.1)) * vec2(-major.y, major.x);
  gl_Position = vec4((pixel / size * 2.0 - 1.0) * vec2(1, -1), 0.0, 1.0);
  color = paint.rgb;
}`;

const FRAGMENT = `#version 300 es
precision mediump float;
in vec3 color; in float opacity; in vec2 offset;
out vec4 shown;
void main() {
  float alpha = min(opacity * exp(-0.5 * dot(offset, offset)), 0.99);
  shown = vec4(color * alpha, alpha);
}`;

// Runs in a worker: a counting sort of what is before the camera, far to near. Of all Gaussians a fixed share is taken.
function sorter() {
  let centres;
  onmessage = ({data}) => {
    if (data.centres) { centres = data.centres; return; }
    const {forward: [x, y, z], depth, share} = data, count = centres.length / 3, steps = 65536;
    const far = new Float32Array(count), key = new Uint16Array(count), start = new Uint32Array(steps + 1);
    let low = Infinity, high = 0, taken = 0;
    for (let i = 0; i < count; i++) {
      const ahead = x * centres[3 * i] + y * centres[3 * i + 1] + z * centres[3 * i + 2] - depth;
      if (ahead <= 0 || (Math.imul(i, 2654435761) >>> 0) > share * 4294967296) continue;
      far[i] = ahead;
      if (ahead < low) low = ahead;
      if (ahead > high) high = ahead;
      taken++;
    }
    low = Math.max(low, 1e-4 * high);
    const fine = (steps - 1) / Math.log(Math.max(high / low, 1.001));  // near surfaces are told apart as well as far ones
    for (let i = 0; i < count; i++) {
      if (!far[i]) continue;
      key[i] = steps - 1 - fine * Math.log(Math.max(far[i], low) / low);
      start[key[i] + 1]++;
    }
    for (let k = 0; k < steps; k++) start[k + 1] += start[k];
    const order = new Uint32Array(taken);
    for (let i = 0; i < count; i++) if (far[i]) order[start[key[i]]++] = i;
    postMessage({order, share}, [order.buffer]);
  };
}

class Splats {
  constructor(canvas, buffer, sorted) {
    const gl = this.gl = canvas.getContext("webgl2", {antialias: false, depth: false, premultipliedAlpha: true, preserveDrawingBuffer: true});
    if (!gl) throw new Error("This browser has no WebGL 2.");
    this.count = buffer.byteLength / 32;
    const program = this.program = gl.createProgram();
    for (const [type, text] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(type);
      gl.shaderSource(shader, text);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program));
    gl.useProgram(program);
    this.textures = [];
    this.place = {};
    for (const name of ["cameraFromWorld", "eye", "focal", "principal", "size", "widen", "blur", "cut"]) this.place[name] = gl.getUniformLocation(program, name);
    gl.uniform1i(gl.getUniformLocation(program, "order"), 1);
    this.texture(0, gl.RGBA32UI, gl.RGBA_INTEGER, 4, new Uint32Array(buffer));
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    this.startSorting(buffer, sorted);
  }

  texture(unit, format, kind, channels, values) {
    const gl = this.gl, rows = Math.max(1, Math.ceil(values.length / channels / WIDE));
    const texels = new Uint32Array(channels * WIDE * rows);
    texels.set(values);
    gl.activeTexture(gl.TEXTURE0 + unit);
    gl.bindTexture(gl.TEXTURE_2D, this.textures[unit] ??= gl.createTexture());
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
    gl.texImage2D(gl.TEXTURE_2D, 0, format, WIDE, rows, 0, kind, gl.UNSIGNED_INT, texels);
  }

  startSorting(buffer, sorted) {
    const values = new Float32Array(buffer), centres = new Float32Array(3 * this.count);
    for (let i = 0; i < this.count; i++) for (let k = 0; k < 3; k++) centres[3 * i + k] = values[8 * i + k];
    this.worker = new Worker(URL.createObjectURL(new Blob([`(${sorter})()`], {type: "text/javascript"})));
    this.worker.postMessage({centres});
    this.worker.onmessage = ({data}) => {
      this.texture(1, this.gl.R32UI, this.gl.RED_INTEGER, 1, data.order);
      this.drawable = data.order.length;
      this.share = data.share;
      this.sorting = false;
      sorted();
    };
    this.drawable = 0;
    this.share = 1;
  }

  // Asks for a new order, unless one is on its way or the view still has the old one. Returns whether the order is right.
  sort(view, share) {
    const forward = view.rotation.slice(6, 9), depth = dot(forward, view.eye), key = [...forward, ...view.eye, share].join();
    if (!this.sorting && this.sortedFor !== key) {
      this.sorting = true;
      this.sortedFor = key;
      this.worker.postMessage({forward, depth, share});
    }
    return !this.sorting && this.sortedFor === key;
  }

  // view: rotation (camera_from_world, row by row), eye; lens: focal and principal in pixels of the canvas;
  // cut: standard deviations after which a Gaussian ends, where it is not too faint before.
  draw(view, lens, cut) {
    const gl = this.gl, {width, height} = gl.canvas, r = view.rotation;
    gl.viewport(0, 0, width, height);
    gl.uniformMatrix3fv(this.place.cameraFromWorld, true, r);
    gl.uniform3fv(this.place.eye, view.eye);
    gl.uniform2fv(this.place.focal, lens.focal);
    gl.uniform2fv(this.place.principal, lens.principal);
    gl.uniform2f(this.place.size, width, height);
    gl.uniform1f(this.place.widen, 1 / Math.sqrt(this.share));  // closes the gaps that the others leave
    gl.uniform1f(this.place.blur, lens.blur);
    gl.uniform1f(this.place.cut, cut);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.drawArrays(gl.TRIANGLES, 0, 3 * this.drawable);  // one call: software WebGL is slow with an instance a Gaussian
  }
}
