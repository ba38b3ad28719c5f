// What a patch attends to, drawn over its picture. All data is in this page.
(() => {
  const element = (id) => document.getElementById(id);
  const facts = JSON.parse(element("facts").textContent);
  const [canvas, picture] = [element("stage"), element("picture")];
  const colours = decodeBase64(facts.colours);
  const scores = openScores(facts, (index) => element(`block-${index}`).textContent);
  const MEAN = 0; // The head slider's first place; head h is at h + 1.
  const state = { layer: facts.start, head: MEAN, query: null, pinned: false };
  let [drawing, probes, took] = [null, null, 0];

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

  // ---- places on the picture ----

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
    const [row, column] = [Math.floor(best / found.grid[1]), best % found.grid[1]];
    const head = state.head === MEAN ? "mean of the heads" : `head ${state.head - 1}`;
    const said = probes?.words(state.layer, state.head - 1) ?? "";
    const prefix = block.prefix.map((name, i) => `${percent(found.prefix[i])} go to the ${name} token`);
    const strongest = `most to row ${row}, column ${column}: ${percent(found.patches[best])}`;
    return `${block.title}, ${head}: ${called(query)} attends ${[strongest, ...prefix].join("; ")}.${said && ` ${said}.`}`;
  }

  // ---- keeping all parts in step ----

  let [asked, done] = [0, 0];

  async function update(speak = false) {
    const turn = ++asked;
    const block = facts.blocks[state.layer];
    state.head = Math.min(state.head, block.heads);
    const query = answerable(block, state.query);
    showControls(block, query);
    const found = await scores.row(state.layer, state.head - 1, query);
    if (turn !== asked) return; // Something newer is on its way.
    const started = performance.now();
    draw(block, query, found);
    took = performance.now() - started;
    probes?.mark(state.layer, state.head - 1);
    const text = describe(block, query, found);
    element("status").textContent = text;
    if (speak) element("live").textContent = text;
    done = turn;
  }

  function draw(block, query, found) {
    const isOn = (id) => element(id).checked;
    const look = { cover: element("cover").value / 100, smooth: isOn("smooth"), alone: isOn("alone"), clips: isOn("clip") };
    const range = drawing.draw(found, look);
    if (query.row !== undefined) drawing.outline(drawing.cell(block, block.pooled, query.row, query.column), state.pinned);
    element("low").textContent = percent(range.low);
    element("high").textContent = `${range.clipped ? "from " : ""}${percent(range.high)}`;
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

  function makeProbes() {
    const made = openProbes(element("heads"), facts, (layer, head) => {
      Object.assign(state, { layer, head: head + 1 });
      remember();
      update(true);
    });
    element("probes").hidden = !made.known.length;
    if (!made.known.length) return;
    probes = made;
    for (const name of made.known) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = { distance: "how far", entropy: "how widely" }[name];
      button.addEventListener("click", () => showProbe(name));
      button.dataset.probe = name;
      element("probe").append(button);
    }
    showProbe(made.known[0]);
  }

  function showProbe(name) {
    probes.show(name);
    probes.mark(state.layer, state.head - 1);
    for (const button of element("probe").querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(button.dataset.probe === name));
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
    drawing = openDrawing(canvas, picture, facts, colours);
    makeTokens();
    makeProbes();
    recall();
    for (const name of ["layer", "head"]) {
      element(name).addEventListener("input", (event) => turn(name, event.target.value - state[name]));
    }
    for (const name of ["cover", "smooth", "alone", "clip"]) element(name).addEventListener("input", () => update());
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
    took: () => took,
    row: (layer, head, query) => scores.row(layer, head === "mean" ? scores.MEAN : head, query),
  };

  if (picture.complete && picture.naturalWidth) start();
  else picture.addEventListener("load", start);
})();
