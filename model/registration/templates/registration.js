"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const element = id => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
const PROBABILITY = ["#440154", "#414487", "#2a788e", "#22a884", "#7ad151"];  // viridis
const DISTANCE = ["#fb9f3a", "#ed7953", "#bd3786", "#7201a8", "#0d0887"];  // plasma, light to dark

// --- the map: linear between nodes ---
function bytes(text) { return Uint8Array.from(atob(text), c => c.charCodeAt(0)); }
const map = data.map && {
  ...data.map,
  levels: new Uint16Array(bytes(data.map.nodes).buffer),
  sigmas: data.map.sigma && new Float32Array(bytes(data.map.sigma).buffer),
};

/** Interpolate an array [rows, columns, channels] of the map's nodes at (x, y), px of A. */
function interpolate(array, channels, channel, x, y) {
  const u = x / map.step, v = y / map.step;
  const column = Math.max(0, Math.min(Math.floor(u), map.columns - 2));
  const row = Math.max(0, Math.min(Math.floor(v), map.rows - 2));
  const right = Math.min(column + 1, map.columns - 1), below = Math.min(row + 1, map.rows - 1);
  const at = (r, c) => array[(r * map.columns + c) * channels + channel];
  const s = u - column, t = v - row;
  return (1 - t) * ((1 - s) * at(row, column) + s * at(row, right))
    + t * ((1 - s) * at(below, column) + s * at(below, right));
}

/** The position in B of (x, y) of A, whether or not anything corresponds there. */
function positionInB(x, y) {
  return [0, 1].map(k => map.low[k] + map.unit * interpolate(map.levels, 2, k, x, y));
}

/** Whether (x, y) of A is mapped: the opacity of B brought onto A. */
let opacity = null;
function isMapped(x, y) {
  if (!map) return false;
  const image = document.querySelector("img.over");
  if (!opacity) {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(image, 0, 0);
    opacity = context.getImageData(0, 0, canvas.width, canvas.height);
  }
  const column = Math.min(opacity.width - 1, Math.floor((x + .5) * opacity.width / data.a.width));
  const row = Math.min(opacity.height - 1, Math.floor((y + .5) * opacity.height / data.a.height));
  return column >= 0 && row >= 0 && opacity.data[4 * (row * opacity.width + column) + 3] > 127;
}

// --- a place in A and in B ---
function mark(cross, [x, y], size) {
  cross.hidden = false;
  cross.style.left = 100 * (x + .5) / size.width + "%";
  cross.style.top = 100 * (y + .5) / size.height + "%";
}

let point = [Math.floor(data.a.width / 2), Math.floor(data.a.height / 2)];
function show(x, y) {
  point = [Math.max(0, Math.min(data.a.width - 1, x)), Math.max(0, Math.min(data.a.height - 1, y))];
  mark(element("cross_a"), point, data.a);
  const place = element("place"), cross = element("cross_b");
  if (!place) return;
  if (!isMapped(...point)) {
    cross.hidden = true;
    place.textContent = `A (${point[0]}, ${point[1]}): nothing corresponds in B`;
    return;
  }
  const inB = positionInB(...point);
  mark(cross, inB, data.b);
  const sigma = map.sigmas && interpolate(map.sigmas, 1, 0, ...point);
  place.textContent = `A (${point[0]}, ${point[1]}) is B (${inB[0].toFixed(2)}, ${inB[1].toFixed(2)})`
    + (map.sigmas ? `, standard deviation ${sigma.toFixed(2)} px` : "");
}

const stage = element("stage");
function pointed(event) {
  const box = stage.getBoundingClientRect();
  show(Math.floor((event.clientX - box.left) / box.width * data.a.width),
       Math.floor((event.clientY - box.top) / box.height * data.a.height));
}
stage.addEventListener("pointermove", pointed);
stage.addEventListener("pointerdown", pointed);
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
stage.addEventListener("keydown", event => {
  const arrow = ARROWS[event.key];
  if (!arrow) return;
  event.preventDefault();
  const pixels = event.shiftKey ? 10 : 1;
  show(point[0] + pixels * arrow[0], point[1] + pixels * arrow[1]);
});

// --- slider, views, blink ---
const slider = element("slider");
function split(percent) { stage.style.setProperty("--split", percent + "%"); }
function setView(view) { document.body.dataset.view = view; }
let timer = null, showsB = false;
function stopBlinking() {
  clearInterval(timer);
  timer = null;
  element("blink").setAttribute("aria-pressed", "false");
  split(slider.value);
}
function blink() {
  if (timer) return stopBlinking();
  const chosen = document.querySelector("input[name=view]:checked");
  if (chosen.value === "ridges") document.querySelector("input[value=even]").click();
  const swap = () => { showsB = !showsB; split(showsB ? 0 : 100); };
  element("blink").setAttribute("aria-pressed", "true");
  timer = setInterval(swap, 500);
  swap();
}
if (slider) {
  slider.addEventListener("input", () => timer ? stopBlinking() : split(slider.value));
  split(slider.value);
  for (const radio of document.querySelectorAll("input[name=view]"))
    radio.addEventListener("change", () => setView(radio.value));
  setView(document.querySelector("input[name=view]:checked").value);
  element("blink").addEventListener("click", blink);
  document.addEventListener("keydown", event => {
    if (event.key !== " " || event.target === element("blink") || event.repeat) return;
    event.preventDefault();
    blink();
  });
}

// --- colours, lines ---
function colour(stops, share) {
  const place = Math.max(0, Math.min(1, share)) * (stops.length - 1), k = Math.min(stops.length - 2, Math.floor(place));
  const channel = (hex, c) => parseInt(hex.slice(1 + 2 * c, 3 + 2 * c), 16);
  const mixed = [0, 1, 2].map(c => Math.round(
    channel(stops[k], c) + (place - k) * (channel(stops[k + 1], c) - channel(stops[k], c))));
  return `rgb(${mixed.join(" ")})`;
}
function showScale(id, stops, low, high) {
  const bar = document.createElement("i");
  bar.style.background = `linear-gradient(90deg, ${stops.join(", ")})`;
  element(id).append(low, bar, high);
}
function add(parent, name, attributes) {
  const child = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) child.setAttribute(key, value);
  parent.append(child);
  return child;
}

// --- matches by probability ---
function plotMatches() {
  const picture = element("matches"), gap = Math.round(.04 * data.a.width), shift = data.a.width + gap;
  const width = shift + data.b.width, height = Math.max(data.a.height, data.b.height);
  picture.setAttribute("viewBox", `-0.5 -0.5 ${width} ${height}`);
  for (const [image, x, size] of [["img[alt='A with even contrast']", 0, data.a], ["img[alt='B with even contrast']", shift, data.b]])
    add(picture, "image", { href: document.querySelector(image).src, x: x - .5, y: -.5, ...size, opacity: .45 });
  const lines = [...data.matches].sort((a, b) => a[4] - b[4]).map(([xa, ya, xb, yb, probability]) => {
    const group = add(picture, "g", { stroke: colour(PROBABILITY, probability), fill: colour(PROBABILITY, probability) });
    add(group, "line", { x1: xa, y1: ya, x2: xb + shift, y2: yb, "stroke-width": width / 900, "stroke-opacity": .7 });
    for (const [x, y] of [[xa, ya], [xb + shift, yb]]) add(group, "circle", { cx: x, cy: y, r: width / 350, stroke: "none" });
    return [probability, group];
  });
  const filter = () => {
    const least = Number(element("least").value);
    for (const [probability, group] of lines) group.style.display = probability < least ? "none" : "";
    const count = lines.filter(([probability]) => probability >= least).length;
    element("shown").textContent = `≥ ${least.toFixed(2)}: ${count} of ${lines.length}`;
  };
  element("least").addEventListener("input", filter);
  filter();
  showScale("probabilities", PROBABILITY, "0", "1");
}
if (data.matches.length) plotMatches();

// --- deformation grid ---
function plotGrid() {
  const picture = element("grid"), paths = new Map(), [origin, right, down] = data.similarity;
  picture.setAttribute("viewBox", `-0.5 -0.5 ${data.b.width} ${data.b.height}`);
  const similar = (x, y) => [0, 1].map(k => origin[k] + x * (right[k] - origin[k]) + y * (down[k] - origin[k]));
  let rigid = "";
  function segment(x, y, nextX, nextY) {
    if (!isMapped(x, y) || !isMapped(nextX, nextY)) return;
    const [p, q] = [positionInB(x, y), positionInB(nextX, nextY)], [r, s] = [similar(x, y), similar(nextX, nextY)];
    const distance = Math.hypot((p[0] + q[0] - r[0] - s[0]) / 2, (p[1] + q[1] - r[1] - s[1]) / 2);
    const level = Math.min(16, Math.round(16 * distance / data.distance_limit));
    const text = (m, n) => `M${m.map(v => v.toFixed(2))}L${n.map(v => v.toFixed(2))}`;
    rigid += text(r, s);
    paths.set(level, (paths.get(level) || "") + text(p, q));
  }
  const start = Math.floor(data.spacing / 2);
  for (let y = start; y < data.a.height; y += data.spacing)
    for (let x = 0; x + map.step < data.a.width; x += map.step) segment(x, y, x + map.step, y);
  for (let x = start; x < data.a.width; x += data.spacing)
    for (let y = 0; y + map.step < data.a.height; y += map.step) segment(x, y, x, y + map.step);
  const width = Math.max(data.b.width, data.b.height) / 500;
  add(picture, "path", { d: rigid, stroke: "#777", "stroke-width": .7 * width, fill: "none" });
  for (const [level, path] of paths)
    add(picture, "path", { d: path, stroke: colour(DISTANCE, level / 16), "stroke-width": 1.7 * width, fill: "none" });
  showScale("distances", DISTANCE, "0", `${data.distance_limit.toFixed(1)} px`);
}
if (map) addEventListener("load", plotGrid);
