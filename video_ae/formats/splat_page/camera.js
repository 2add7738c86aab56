// The camera of the page: turned, shifted and moved by hand, or following the frames' cameras.

const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const add = (a, b, scale = 1) => a.map((value, i) => value + scale * b[i]);
const unit = (a) => a.map((value) => value / Math.hypot(...a));
const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
const mix = (a, b, t) => a.map((value, i) => value + t * (b[i] - value));
const row = (rotation, i) => rotation.slice(3 * i, 3 * i + 3);

// A vector turned about a unit axis (Rodrigues).
function turned(v, axis, angle) {
  const c = Math.cos(angle);
  return add(add(v.map((value) => c * value), cross(axis, v), Math.sin(angle)), axis, (1 - c) * dot(axis, v));
}

// Rows of camera_from_world from where a camera looks and what is about below.
function facing(forward, down) {
  const z = unit(forward), x = unit(cross(down, z));
  return [...x, ...cross(z, x), ...z];
}

class Camera {
  // scene: cameras (rotation: camera_from_world row by row; centre; intrinsics: fx fy cx cy over width and height),
  // depth (typical), size (of the frames), sharpness (width in pixels of the images that the Gaussians were made at)
  constructor(scene) {
    this.scene = scene;
    this.goTo(0);
  }

  // The camera of a frame, or between two of them.
  goTo(frame) {
    const {cameras} = this.scene, i = Math.min(Math.floor(frame), cameras.length - 1);
    const one = cameras[i], other = cameras[Math.min(i + 1, cameras.length - 1)], t = frame - i;
    this.eye = mix(one.centre, other.centre, t);
    this.rotation = facing(mix(row(one.rotation, 2), row(other.rotation, 2), t), mix(row(one.rotation, 1), row(other.rotation, 1), t));
    this.intrinsics = mix(one.intrinsics, other.intrinsics, t);
    this.pivot = add(this.eye, row(this.rotation, 2), this.scene.depth);
    this.frame = frame;
  }

  // By fractions of the smaller side of the page: the scene turns about what is in the middle.
  turn(right, down) {
    const [x, y] = [row(this.rotation, 0), [0, 1, 0]], forward = row(this.rotation, 2);
    const steep = Math.asin(Math.max(-1, Math.min(1, forward[1]))), pitch = Math.max(-1.5 - steep, Math.min(1.5 - steep, 2 * down));
    const move = (v) => turned(turned(v, x, -pitch), y, 2 * right);
    this.eye = add(this.pivot, move(add(this.eye, this.pivot, -1)));
    this.rotation = facing(move(forward), move(row(this.rotation, 1)));
    this.frame = null;
  }

  shift(right, down) {
    const far = Math.hypot(...add(this.pivot, this.eye, -1)) / Math.max(this.intrinsics[0], 0.1);
    const step = add(row(this.rotation, 0).map((value) => -value * right * far), row(this.rotation, 1), -down * far);
    this.eye = add(this.eye, step);
    this.pivot = add(this.pivot, step);
    this.frame = null;
  }

  // Nearer to the pivot by a factor; the pivot steps back when it comes too close, so that one can walk on.
  approach(factor) {
    const away = add(this.pivot, this.eye, -1);
    this.eye = add(this.pivot, away, -factor);
    const short = 0.2 * this.scene.depth - Math.hypot(...away) * factor;
    if (short > 0) this.pivot = add(this.pivot, row(this.rotation, 2), short);
    this.frame = null;
  }

  // Pixels of a canvas that shows the whole frame; blur: variance that is added, 0.3 pixels of the canvas or of the images
  // that the Gaussians were made at (they are about as wide as those pixels, and magnified they would leave a grid of gaps).
  lens(width, height) {
    const [fx, fy, cx, cy] = this.intrinsics, [w, h] = this.scene.size, fit = Math.min(width / w, height / h);
    return {
      blur: 0.3 * Math.max(1, w * fit / this.scene.sharpness) ** 2,
      focal: [fx * w * fit, fy * h * fit],
      principal: [width / 2 + (cx - 0.5) * w * fit, height / 2 + (cy - 0.5) * h * fit],
    };
  }

  // Where points of the world are on a canvas; null behind the camera.
  project(point, lens) {
    const local = add(point, this.eye, -1), z = dot(row(this.rotation, 2), local);
    if (z < 1e-3 * this.scene.depth) return null;
    return [0, 1].map((i) => lens.focal[i] * dot(row(this.rotation, i), local) / z + lens.principal[i]);
  }
}
