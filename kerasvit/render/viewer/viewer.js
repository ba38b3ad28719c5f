"use strict";
// What a patch attends to, drawn over its picture. All data is in this page:
// `facts` says what the blocks are, and each block's scores lie in a script element of their own,
// as base64 of gzip of [low and high of each row | shares of the prefix tokens | bytes of patches].
(() => {
  const element = (id) => document.getElementById(id);
  const facts = JSON.parse(element("facts").textContent);
  const [canvas, picture] = [element("stage"), element("picture")];
  const context = canvas.getContext("2d");
  const colours = decodeBase64(facts.colours);
  const MEAN = 0; // The head slider's first place; head h is at h + 1.
  const KEPT = 3; // Decoded blocks that stay in memory; a large one has tens of megabytes.

  const state = { layer: facts.start, head: MEAN, query: null, pinned: false };
  const cache = new Map();

  // ---- the scores ----

  function decodeBase64(text) {
    const binary = atob(text.trim());
    const bytes = new Uint8Array(binary.length);
    for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
    return bytes;
  }

  async function unpack(index) {
    const bytes = decodeBase64(element(`block-${index}`).textContent);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const buffer = await new Response(stream).arrayBuffer();
    const block = facts.blocks[index];
    const rows = block.heads * block.rows;
    const prefixes = rows * block.prefix.length;
    return {
      ranges: new Float32Array(buffer, 0, 2 * rows),
      prefixes: new Float32Array(buffer, 8 * rows, prefixes),
      patches: new Uint8Array(buffer, 8 * rows + 4 * prefixes),
    };
  }

  function load(index) {
    if (!cache.has(index)) cache.set(index, unpack(index));
    const found = cache.get(index);
    cache.delete(index); // Put back as the latest.
    cache.set(index, found);
    if (cache.size > KEPT) cache.delete(cache.keys().next().value);
    return found;
  }

  // One row of scores: where a query looks, of one head or the mean of all.
  function read(block, data, head, row) {
    const count = block.grid[0] * block.grid[1];
    const patches = new Float32Array(count);
    const prefix = new Float32Array(block.prefix.length);
    const heads = head === MEAN ? [...Array(block.heads).keys()] : [head - 1];
    for (const one of heads) {
      const at = one * block.rows + row;
      const [low, high] = [data.ranges[2 * at], data.ranges[2 * at + 1]];
      const step = (high - low) / 255 / heads.length;
      const base = low / heads.length;
      for (let i = 0; i < count; i++) patches[i] += base + step * data.patches[at * count + i];
      for (let i = 0; i < prefix.length; i++) {
        prefix[i] += data.prefixes[at * prefix.length + i] / heads.length;
      }
    }
    return { patches, prefix };
  }

  // ---- queries: {token: "class"} or {row, column} ----

  // The query that this block can answer: the wanted one, or what comes closest.
  function answerable(block, query) {
    if (query && query.token !== undefined && block.tokens.includes(query.token)) return query;
    if (query && query.row !== undefined && block.asks) {
      return { row: Math.min(query.row, block.grid[0] - 1), column: Math.min(query.column, block.grid[1] - 1) };
    }
    if (block.tokens.length) return { token: block.tokens[0] };
    return { row: block.grid[0] >> 1, column: block.grid[1] >> 1 };
  }

  function rowOf(block, query) {
    if (query.token !== undefined) return block.tokens.indexOf(query.token);
    return block.tokens.length + query.row * block.grid[1] + query.column;
  }

  // ---- places on the picture ----

  // Left, top, right, bottom of a cell in the canvas. Cells at the edge may hold fewer patches.
  function cell(block, row, column) {
    const scale = canvas.width / facts.size[1];
    const [top, left, bottom, right] = facts.box.map((side) => side * scale);
    const edge = (index, axis) => Math.min(index * block.pooled, block.patches[axis]) / block.patches[axis];
    // On whole pixels: no seams between the cells.
    return [
      left + (right - left) * edge(column, 1), top + (bottom - top) * edge(row, 0),
      left + (right - left) * edge(column + 1, 1), top + (bottom - top) * edge(row + 1, 0),
    ].map(Math.round);
  }

  function patchAt(block, event) {
    const shown = canvas.getBoundingClientRect();
    const y = ((event.clientY - shown.top) / shown.height) * facts.size[0];
    const x = ((event.clientX - shown.left) / shown.width) * facts.size[1];
    const [top, left, bottom, right] = facts.box;
    const row = Math.floor(((y - top) / (bottom - top)) * block.patches[0] / block.pooled);
    const column = Math.floor(((x - left) / (right - left)) * block.patches[1] / block.pooled);
    const inside = row >= 0 && row < block.grid[0] && column >= 0 && column < block.grid[1];
    return inside ? { row, column } : null;
  }

  // ---- drawing ----

  // Lowest and highest, equal where the map is flat: the same rule as in kerasvit.saliency.normalise.
  function limits(values) {
    const sorted = Float32Array.from(values).sort();
    const cut = element("clip").checked ? Math.floor(sorted.length / 100) : 0;
    const [low, high] = [sorted[cut], sorted[sorted.length - 1 - cut]];
    return high - low <= 1e-6 * Math.max(Math.abs(low), Math.abs(high)) ? [low, low] : [low, high];
  }

  function heatmap(block, values, low, high) {
    const small = document.createElement("canvas");
    [small.height, small.width] = block.grid;
    const pixels = new ImageData(small.width, small.height);
    const cover = element("cover").value / 100;
    for (let i = 0; i < values.length; i++) {
      const share = high > low ? Math.min(1, Math.max(0, (values[i] - low) / (high - low))) : 0;
      const colour = 3 * Math.round(255 * share);
      for (let c = 0; c < 3; c++) pixels.data[4 * i + c] = colours[colour + c];
      // Fainter where the map is low, so that the picture stays visible; all of it at full cover.
      pixels.data[4 * i + 3] = Math.round(255 * cover * (cover + (1 - cover) * (0.5 + 0.5 * share)));
    }
    small.getContext("2d").putImageData(pixels, 0, 0);
    return small;
  }

  function draw(block, query, values) {
    const [low, high] = limits(values);
    context.globalAlpha = 1;
    context.imageSmoothingEnabled = true;
    context.imageSmoothingQuality = "high";
    context.drawImage(picture, 0, 0, canvas.width, canvas.height);
    dimOutside(block);
    const map = heatmap(block, values, low, high);
    if (element("smooth").checked) {
      const [left, top, right, bottom] = [...cell(block, 0, 0).slice(0, 2), ...cell(block, block.grid[0] - 1, block.grid[1] - 1).slice(2)];
      context.drawImage(map, left, top, right - left, bottom - top);
    } else {
      context.imageSmoothingEnabled = false;
      for (let row = 0; row < block.grid[0]; row++) {
        for (let column = 0; column < block.grid[1]; column++) paste(map, block, row, column);
      }
    }
    if (query.row !== undefined) outline(cell(block, query.row, query.column));
    element("low").textContent = percent(low);
    element("high").textContent = percent(high);
  }

  function paste(map, block, row, column) {
    const [left, top, right, bottom] = cell(block, row, column);
    context.drawImage(map, column, row, 1, 1, left, top, right - left, bottom - top);
  }

  function dimOutside(block) {
    const [left, top] = cell(block, 0, 0);
    const [, , right, bottom] = cell(block, block.grid[0] - 1, block.grid[1] - 1);
    context.fillStyle = "rgba(40, 40, 44, 0.6)";
    context.beginPath();
    context.rect(0, 0, canvas.width, canvas.height);
    context.rect(left, top, right - left, bottom - top);
    context.fill("evenodd");
  }

  // White within black, to be seen on every ground; dashed until the patch is pinned.
  function outline([left, top, right, bottom]) {
    const width = Math.max(2, canvas.width / 320);
    for (const [colour, size] of [["#000", 2.2 * width], ["#fff", width]]) {
      context.strokeStyle = colour;
      context.lineWidth = size;
      context.setLineDash(state.pinned || colour === "#000" ? [] : [3 * width, 2 * width]);
      context.strokeRect(left, top, right - left, bottom - top);
    }
    context.setLineDash([]);
  }

  // ---- words ----

  const digits = new Intl.NumberFormat("en", { maximumSignificantDigits: 3, useGrouping: false });

  function percent(value) {
    return `${digits.format(100 * value)} %`;
  }

  function called(query) {
    return query.token !== undefined ? `the ${query.token} token` : `the patch in row ${query.row}, column ${query.column}`;
  }

  function describe(block, query, found) {
    const best = found.patches.indexOf(Math.max(...found.patches));
    const [row, column] = [Math.floor(best / block.grid[1]), best % block.grid[1]];
    const head = state.head === MEAN ? "mean of the heads" : `head ${state.head - 1}`;
    const prefix = block.prefix.map((name, i) => `${percent(found.prefix[i])} go to the ${name} token`);
    const strongest = `most to row ${row}, column ${column}: ${percent(found.patches[best])}`;
    return `${block.title}, ${head}: ${called(query)} attends ${[strongest, ...prefix].join("; ")}.`;
  }

  // ---- keeping all parts in step ----

  let [asked, done] = [0, 0];

  async function update(speak = false) {
    const turn = ++asked;
    const block = facts.blocks[state.layer];
    state.head = Math.min(state.head, block.heads);
    const query = answerable(block, state.query);
    showControls(block, query);
    const data = await load(state.layer);
    if (turn !== asked) return; // Something newer is on its way.
    const found = read(block, data, state.head, rowOf(block, query));
    draw(block, query, found.patches);
    const text = describe(block, query, found);
    element("status").textContent = text;
    if (speak) element("live").textContent = text;
    done = turn;
  }

  function showControls(block, query) {
    element("layer").value = state.layer;
    element("layer-name").textContent = block.title;
    element("layer").setAttribute("aria-valuetext", block.title);
    element("head").max = block.heads;
    element("head").value = state.head;
    const head = state.head === MEAN ? `mean of ${block.heads}` : `${state.head - 1}`;
    element("head-name").textContent = head;
    element("head").setAttribute("aria-valuetext", head);
    element("cover-name").textContent = `${element("cover").value} %`;
    const buttons = element("tokens").querySelectorAll("button");
    for (const button of buttons) {
      const name = button.dataset.token;
      button.disabled = name === undefined ? !block.asks : !block.tokens.includes(name);
      button.setAttribute("aria-pressed", String(query.token === name));
    }
    canvas.style.cursor = block.asks ? "crosshair" : "default";
  }

  function choose(query, pinned) {
    state.query = query;
    state.pinned = pinned;
    remember();
    update(true);
  }

  function turn(name, step) {
    const block = facts.blocks[state.layer];
    const count = name === "layer" ? facts.blocks.length : block.heads + 1;
    state[name] = (state[name] + step + count) % count;
    remember();
    update(true);
  }

  // The address keeps what is shown, so that a link or a reload leads back to it.
  function remember() {
    const query = answerable(facts.blocks[state.layer], state.query);
    const asks = query.token ?? `${query.row},${query.column}`;
    const head = state.head === MEAN ? "mean" : state.head - 1;
    try {
      history.replaceState(null, "", `#layer=${state.layer}&head=${head}&query=${encodeURIComponent(asks)}`);
    } catch {} // A page inside another one may have no address of its own.
  }

  function recall() {
    const wanted = new URLSearchParams(location.hash.slice(1));
    const layer = Number.parseInt(wanted.get("layer") ?? state.layer, 10);
    if (layer >= 0 && layer < facts.blocks.length) state.layer = layer;
    const head = wanted.get("head");
    if (head === "mean") state.head = MEAN;
    else if (head !== null && Number.parseInt(head, 10) >= 0) state.head = Number.parseInt(head, 10) + 1;
    const patch = /^(\d+),(\d+)$/.exec(wanted.get("query") ?? "");
    if (patch) Object.assign(state, { query: { row: +patch[1], column: +patch[2] }, pinned: true });
    else if (wanted.get("query")) state.query = { token: wanted.get("query") };
  }

  // ---- mouse, keys, controls ----

  function point(event, click) {
    const block = facts.blocks[state.layer];
    const patch = block.asks && patchAt(block, event);
    if (!patch) return;
    if (!click) {
      if (!state.pinned) Object.assign(state, { query: patch }), update();
      return;
    }
    const current = answerable(block, state.query);
    const again = state.pinned && current.row === patch.row && current.column === patch.column;
    choose(patch, !again);
  }

  const ARROWS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

  function move([down, right]) {
    const block = facts.blocks[state.layer];
    if (!block.asks) return;
    const from = answerable(block, state.query);
    const inGrid = (place, axis) => Math.min(block.grid[axis] - 1, Math.max(0, place));
    const next = from.row === undefined
      ? { row: block.grid[0] >> 1, column: block.grid[1] >> 1 } // The first step from a token: the middle.
      : { row: inGrid(from.row + down, 0), column: inGrid(from.column + right, 1) };
    choose(next, true);
  }

  function key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = event.shiftKey ? -1 : 1;
    const onStage = event.target === canvas;
    const actions = {
      l: () => turn("layer", step),
      h: () => turn("head", step),
      m: () => turn("head", -state.head),
      c: () => choose({ token: "class" }, true),
      escape: () => choose(state.query, false),
    };
    const action = actions[event.key.toLowerCase()]
      ?? (onStage && ARROWS[event.key] && (() => move(ARROWS[event.key])))
      ?? undefined;
    if (action) action();
    else if (onStage && (event.key === "Enter" || event.key === " ")) choose(state.query, true);
    else return;
    event.preventDefault();
  }

  function makeTokens() {
    const names = [...new Set(facts.blocks.flatMap((block) => block.tokens))];
    const patches = facts.blocks.some((block) => block.asks) ? [undefined] : [];
    for (const name of [...names, ...patches]) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = name ?? "patch";
      if (name !== undefined) button.dataset.token = name;
      button.addEventListener("click", () => (name === undefined ? move([0, 0]) : choose({ token: name }, true)));
      element("tokens").append(button);
    }
  }

  function start() {
    // Small pictures are drawn larger, so that outlines are thin.
    const scale = Math.max(1, Math.ceil(768 / Math.max(picture.naturalWidth, picture.naturalHeight)));
    canvas.width = picture.naturalWidth * scale;
    canvas.height = picture.naturalHeight * scale;
    const stops = [...Array(17).keys()].map((i) => 3 * Math.round((255 * i) / 16));
    element("bar").style.background = `linear-gradient(to right, ${stops.map((i) => `rgb(${colours[i]}, ${colours[i + 1]}, ${colours[i + 2]})`)})`;
    element("layer").max = facts.blocks.length - 1;
    makeTokens();
    recall();
    for (const name of ["layer", "head"]) {
      element(name).addEventListener("input", (event) => turn(name, event.target.value - state[name]));
    }
    for (const name of ["cover", "smooth", "clip"]) element(name).addEventListener("input", () => update());
    element("controls").addEventListener("submit", (event) => event.preventDefault());
    canvas.addEventListener("pointermove", (event) => point(event, false));
    canvas.addEventListener("click", (event) => point(event, true));
    document.addEventListener("keydown", key);
    window.addEventListener("hashchange", () => (recall(), update(true)));
    if (!window.DecompressionStream) {
      element("status").textContent = "This browser is too old: Chrome 80, Firefox 113 or Safari 16.4 and later can show the maps.";
      return;
    }
    update();
  }

  // For scripts and tests: the numbers that are drawn.
  window.kerasvit = {
    facts,
    state,
    settled: () => asked > 0 && done === asked,
    row: async (layer, head, query) => {
      const block = facts.blocks[layer];
      return read(block, await load(layer), head === "mean" ? MEAN : head + 1, rowOf(block, query));
    },
  };

  if (picture.complete && picture.naturalWidth) start();
  else picture.addEventListener("load", start);
})();
