// The page: loads what is embedded, draws when something has changed, coarser while it moves, and answers to hands.

const find = (id) => document.getElementById(id);
const scene = JSON.parse(find("scene").textContent);
const picture = find("picture"), drawing = find("drawing"), slider = find("frame");
const camera = new Camera(scene);
const STILL_AFTER = 250, FRAME_TIME = 60;  // milliseconds
const LEAST_DETAIL = 0.25, LEAST_SHARE = 0.25;  // while it moves: of the page's pixels on a side; of the Gaussians
const WHOLE = 4, CUT = 2;  // standard deviations that are drawn; while the machine cannot keep up
let splats, playing = null, moved = -Infinity, waiting = false, pace = 1, lastDrawn = 0;

async function unpacked(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}

function changed() {
  moved = performance.now();
  request();
}

function request() {
  if (!waiting) requestAnimationFrame(draw);
  waiting = true;
}

function resize(element, width, height) {
  if (element.width !== width || element.height !== height) Object.assign(element, {width, height});
}

function draw(now) {
  waiting = false;
  if (playing) advance(now);
  const still = performance.now() - moved > STILL_AFTER && !playing;
  const scale = Math.min(devicePixelRatio || 1, 2) * (still ? 1 : Math.max(LEAST_DETAIL, Math.sqrt(pace)));
  const width = Math.max(1, Math.round(innerWidth * scale)), height = Math.max(1, Math.round(innerHeight * scale));
  resize(picture, width, height);
  const sorted = splats.sort(camera, still ? 1 : Math.min(1, pace / LEAST_DETAIL ** 2)), start = performance.now();
  splats.draw(camera, camera.lens(width, height), still || pace === 1 ? WHOLE : CUT);
  splats.gl.finish();
  drawCameras();
  if (!still) adapt(Math.max(performance.now() - start, Math.min(now - lastDrawn, 500)));
  lastDrawn = now;
  document.body.dataset.drawn = 1 + Number(document.body.dataset.drawn || 0);
  document.body.dataset.still = still && sorted;
  if (!still || !sorted) request();
}

// Fewer pixels where a frame takes too long, then fewer Gaussians; more where it takes less.
function adapt(time) {
  const better = pace * Math.sqrt(FRAME_TIME / Math.max(time, 1));
  pace = Math.min(1, Math.max(LEAST_SHARE * LEAST_DETAIL ** 2, better));
}

function drawCameras() {
  resize(drawing, innerWidth, innerHeight);
  const pen = drawing.getContext("2d"), lens = camera.lens(innerWidth, innerHeight);
  pen.clearRect(0, 0, innerWidth, innerHeight);
  if (!find("cameras").checked || camera.frame !== null) return;
  const line = (points, color) => {
    const places = points.map((point) => camera.project(point, lens));
    pen.beginPath();
    places.forEach((place, i) => place && (i && places[i - 1] ? pen.lineTo(...place) : pen.moveTo(...place)));
    pen.strokeStyle = color;
    pen.stroke();
  };
  pen.lineWidth = 1.5;
  line(scene.cameras.map((one) => one.centre), "#1565c0");
  const step = Math.ceil(scene.cameras.length / 40);
  scene.cameras.forEach((one, i) => i % step || line(outline(one), i ? "#1565c0" : "#2e7d32"));
}

// A frame's pyramid as one stroke.
function outline({rotation, centre, intrinsics: [fx, fy, cx, cy]}) {
  const corner = (u, v) => [0, 1, 2].reduce((sum, i) => add(sum, row(rotation, i), scene.frustum * [(u - cx) / fx, (v - cy) / fy, 1][i]), centre);
  const [a, b, c, d] = [corner(0, 0), corner(1, 0), corner(1, 1), corner(0, 1)];
  return [centre, a, b, centre, c, d, centre, a, d, c, b];
}

function show(frame) {
  camera.goTo(frame);
  slider.value = Math.round(frame);
  changed();
}

function advance(now) {
  const last = scene.cameras.length - 1;
  show((playing.frame + (now - playing.since) / 1000 * scene.rate) % Math.max(last, 1e-6));
}

function play(on) {
  playing = on ? {frame: camera.frame ?? Number(slider.value), since: performance.now()} : null;
  find("play").textContent = on ? "Pause" : "Play";
  changed();
}

function byHand(act) {
  if (playing) play(false);
  act();
  changed();
}

const fingers = new Map();
drawing.addEventListener("pointerdown", (event) => {
  drawing.setPointerCapture(event.pointerId);
  fingers.set(event.pointerId, event);
});
for (const end of ["pointerup", "pointercancel"]) drawing.addEventListener(end, (event) => fingers.delete(event.pointerId));
drawing.addEventListener("pointermove", (event) => {
  const before = fingers.get(event.pointerId), side = Math.min(innerWidth, innerHeight);
  if (!before) return;
  const right = (event.clientX - before.clientX) / side, down = (event.clientY - before.clientY) / side;
  const other = [...fingers.values()].find((finger) => finger.pointerId !== event.pointerId);
  byHand(() => {
    if (other) {
      const apart = (one) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY) + 1;
      camera.approach(apart(before) / apart(event));
      camera.shift(right / 2, down / 2);
    } else if (event.buttons === 2 || event.shiftKey) camera.shift(right, down);
    else camera.turn(right, down);
  });
  fingers.set(event.pointerId, event);
});
drawing.addEventListener("contextmenu", (event) => event.preventDefault());
drawing.addEventListener("wheel", (event) => {
  event.preventDefault();
  byHand(() => camera.approach(Math.exp(0.001 * event.deltaY * (event.deltaMode ? 30 : 1))));
}, {passive: false});
slider.addEventListener("input", () => byHand(() => show(Number(slider.value))));
find("play").addEventListener("click", () => play(!playing));
find("cameras").addEventListener("change", changed);
addEventListener("resize", changed);

unpacked(find("splats").textContent).then((buffer) => {
  splats = new Splats(picture, buffer, request);
  find("note").textContent = `${scene.name}: ${scene.cameras.length} frames, ${splats.count.toLocaleString("en")} Gaussians. Grey: no frame saw it.`;
  show(0);
}).catch((error) => { find("note").textContent = `The scene cannot be shown: ${error.message}`; });
