// How alike the patch that asks is to every patch of every picture. All data is in this page.
(() => {
  const element = (id) => document.getElementById(id);
  const facts = JSON.parse(element("facts").textContent);
  const canvases = [...document.querySelectorAll(".stage")];
  const photographs = [...document.querySelectorAll(".photograph")];
  const colours = decodeBase64(facts.colours);
  const state = { ...facts.start, pinned: false };
  let [features, drawings, maps] = [[], [], []];
  let [asked, done] = [0, 0];

  // ---- features ----

  // One number for each patch, and its feature as whole numbers; their product has length 1.
  async function unpack(index) {
    const bytes = decodeBase64(element(`features-${index}`).textContent);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const buffer = await new Response(stream).arrayBuffer();
    const [rows, columns] = facts.pictures[index].patches;
    return { scales: new Float32Array(buffer, 0, rows * columns), whole: new Int8Array(buffer, 4 * rows * columns) };
  }

  function likeness(index) {
    const { scales, whole } = features[state.picture];
    const at = state.row * facts.pictures[state.picture].patches[1] + state.column;
    const query = whole.subarray(at * facts.channels, (at + 1) * facts.channels);
    const other = features[index];
    const values = new Float32Array(other.scales.length);
    for (let patch = 0, i = 0; patch < values.length; patch++) {
      let sum = 0;
      for (let c = 0; c < query.length; c++, i++) sum += query[c] * other.whole[i];
      values[patch] = sum * scales[at] * other.scales[patch];
    }
    return values;
  }

  // The range of all maps, without the patch that asks, which is as alike to itself as can be.
  function range() {
    const own = state.row * facts.pictures[state.picture].patches[1] + state.column;
    let [low, high] = [Infinity, -Infinity];
    maps.forEach((values, index) => values.forEach((value, patch) => {
      if (index === state.picture && patch === own) return;
      low = Math.min(low, value);
      high = Math.max(high, value);
    }));
    return { low, high, clipped: false };
  }

  // The most alike patch of a picture, not the one that asks.
  function best(index) {
    const { patches } = facts.pictures[index];
    const own = index === state.picture ? state.row * patches[1] + state.column : -1;
    let most = own === 0 && maps[index].length > 1 ? 1 : 0;
    maps[index].forEach((value, patch) => { if (patch !== own && value > maps[index][most]) most = patch; });
    return { row: Math.floor(most / patches[1]), column: most % patches[1], value: maps[index][most] };
  }

  // ---- drawing ----

  function update(speak = false) {
    asked++;
    requestAnimationFrame(() => {
      if (done !== asked) draw(speak);
      done = asked;
    });
  }

  function draw(speak) {
    maps = canvases.map((_, index) => likeness(index));
    const within = range();
    const isOn = (id) => element(id).checked;
    const look = { cover: element("cover").value / 100, smooth: isOn("smooth"), alone: isOn("alone"), within };
    drawings.forEach((drawing, index) => {
      const block = facts.pictures[index];
      drawing.draw({ patches: maps[index], grid: block.patches, sides: block.patches, pooled: 1 }, look);
      const most = best(index);
      if (isOn("best") && index !== state.picture) drawing.outline(drawing.cell(block, 1, most.row, most.column), false);
      if (index === state.picture) drawing.outline(drawing.cell(block, 1, state.row, state.column), true);
    });
    element("low").textContent = within.low.toFixed(2);
    element("high").textContent = within.high.toFixed(2);
    element("cover-name").textContent = `${element("cover").value} %`;
    const text = describe();
    element("status").textContent = text;
    if (speak) element("live").textContent = text;
  }

  function named(index) {
    return facts.pictures[index].name || `picture ${index + 1}`;
  }

  function describe() {
    const most = facts.pictures.map((_, index) => {
      const { row, column, value } = best(index);
      return `in ${named(index)} row ${row}, column ${column} (${value.toFixed(2)})`;
    });
    return `The patch in row ${state.row}, column ${state.column} of ${named(state.picture)} is most alike to: ${most.join("; ")}.`;
  }

  // ---- mouse, keys, address ----

  function patchAt(index, event) {
    const shown = canvases[index].getBoundingClientRect();
    const { size, box: [top, left, bottom, right], patches } = facts.pictures[index];
    // The canvas keeps the shape of its picture inside its box.
    const scale = Math.min(shown.width / size[1], shown.height / size[0]);
    const x = (event.clientX - shown.left - (shown.width - scale * size[1]) / 2) / scale;
    const y = (event.clientY - shown.top - (shown.height - scale * size[0]) / 2) / scale;
    const row = Math.floor(((y - top) / (bottom - top)) * patches[0]);
    const column = Math.floor(((x - left) / (right - left)) * patches[1]);
    const inside = row >= 0 && row < patches[0] && column >= 0 && column < patches[1];
    return inside ? { picture: index, row, column } : null;
  }

  function point(index, event, click) {
    const patch = patchAt(index, event);
    if (!patch) return;
    if (!click) {
      if (!state.pinned) Object.assign(state, patch), update();
      return;
    }
    const again = state.pinned && Object.keys(patch).every((name) => state[name] === patch[name]);
    choose({ ...patch, pinned: !again });
  }

  function choose(change) {
    Object.assign(state, change);
    try {
      history.replaceState(null, "", `#picture=${state.picture}&patch=${state.row},${state.column}`);
    } catch {} // A page inside another one may have no address of its own.
    update(true);
  }

  const ARROWS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

  function key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const index = canvases.indexOf(event.target);
    if (event.key === "Escape") choose({ pinned: false });
    else if (index >= 0 && ARROWS[event.key]) move(index, ARROWS[event.key]);
    else if (index >= 0 && (event.key === "Enter" || event.key === " ")) choose({ pinned: true });
    else return;
    event.preventDefault();
  }

  function move(index, [down, right]) {
    const { patches } = facts.pictures[index];
    const within = (place, axis) => Math.min(patches[axis] - 1, Math.max(0, place));
    const patch = index === state.picture
      ? { row: within(state.row + down, 0), column: within(state.column + right, 1) }
      : { row: patches[0] >> 1, column: patches[1] >> 1 }; // The first step in a picture: its middle.
    choose({ picture: index, ...patch, pinned: true });
  }

  function recall() {
    const wanted = new URLSearchParams(location.hash.slice(1));
    const index = Number.parseInt(wanted.get("picture") ?? state.picture, 10);
    const place = /^(\d+),(\d+)$/.exec(wanted.get("patch") ?? "");
    const patches = facts.pictures[index]?.patches;
    if (!place || !patches || +place[1] >= patches[0] || +place[2] >= patches[1]) return;
    Object.assign(state, { picture: index, row: +place[1], column: +place[2], pinned: true });
  }

  async function start() {
    if (!window.DecompressionStream) {
      element("status").textContent = "This browser is too old: Chrome 80, Firefox 113 or Safari 16.4 and later can show the maps.";
      return;
    }
    await Promise.all(photographs.map((picture) => picture.decode()));
    features = await Promise.all(canvases.map((_, index) => unpack(index)));
    drawings = canvases.map((canvas, index) => {
      const picture = photographs[index];
      // Small pictures are drawn larger, so that outlines are thin.
      const scale = Math.max(1, Math.ceil(768 / Math.max(picture.naturalWidth, picture.naturalHeight)));
      canvas.width = picture.naturalWidth * scale;
      canvas.height = picture.naturalHeight * scale;
      canvas.addEventListener("pointermove", (event) => point(index, event, false));
      canvas.addEventListener("click", (event) => point(index, event, true));
      return openDrawing(canvas, picture, facts.pictures[index], colours);
    });
    const stops = [...Array(17).keys()].map((i) => 3 * Math.round((255 * i) / 16));
    element("bar").style.background = `linear-gradient(to right, ${stops.map((i) => `rgb(${colours[i]}, ${colours[i + 1]}, ${colours[i + 2]})`)})`;
    for (const name of ["cover", "smooth", "alone", "best"]) element(name).addEventListener("input", () => update());
    element("controls").addEventListener("submit", (event) => event.preventDefault());
    document.addEventListener("keydown", key);
    window.addEventListener("hashchange", () => (recall(), update(true)));
    recall();
    update();
  }

  // For scripts and tests: the numbers that are drawn.
  window.kerasvit = { facts, state, settled: () => asked > 0 && done === asked, map: (index) => [...maps[index]] };

  start();
})();
