// One picture in, classes and maps out; see page.py for what `facts` holds.
(() => {
  const facts = JSON.parse(document.getElementById("facts").textContent);
  const [height, width] = facts.size;
  const element = (name) => document.getElementById(name);
  const stage = element("stage");
  // What logits are read as, by the model's problem type.
  const sigmoid = (value) => 1 / (1 + Math.exp(-value));
  const READINGS = {
    classes: softmax,
    decision: ([logit]) => [sigmoid(-logit), sigmoid(logit)],
    labels: (logits) => logits.map(sigmoid),
    values: (logits) => logits,
  };
  let session, runtime, picture, outputs, busy = true;

  // ---- the model ----

  function embedded(name) {
    const text = element(`content-${name}`)?.textContent;
    return text && Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  }

  async function bytes(name) {
    const here = embedded(name);
    if (here) return here;
    const answer = await fetch(new URL(facts.files[name], location.href));
    if (!answer.ok) throw new Error(`${facts.files[name]}: ${answer.status}`);
    return new Uint8Array(await answer.arrayBuffer());
  }

  async function start() {
    const script = embedded("runtime");
    const address = script
      ? URL.createObjectURL(new Blob([script], { type: "text/javascript" }))
      : new URL(facts.files.runtime, location.href).href;
    runtime = await import(address);
    // One thread: more of them need headers that a plain server does not send.
    runtime.env.wasm.numThreads = 1;
    runtime.env.wasm.wasmBinary = (await bytes("wasm")).buffer;
    session = await runtime.InferenceSession.create(await bytes("model"));
    element("file").disabled = false;
    say("Ready: drop a picture here");
  }

  // uint8 RGB, row by row, to every output by its name.
  async function run(pixels) {
    const images = new runtime.Tensor("uint8", pixels, [1, height, width, 3]);
    const results = await session.run({ [facts.input]: images });
    return Object.fromEntries(
      Object.entries(results).map(([name, value]) => [name, { data: value.data, dims: value.dims }]),
    );
  }

  // ---- the picture ----

  // What the model sees of a picture, in the picture's pixels: as in the model's evaluation.
  function window_of(image) {
    if (facts.crop_mode === "squash") return [0, 0, image.width, image.height];
    const scale = Math.min(image.width / width, image.height / height) * facts.crop_fraction;
    const [w, h] = [width * scale, height * scale];
    return [(image.width - w) / 2, (image.height - h) / 2, w, h];
  }

  function pixels_of(image) {
    const canvas = new OffscreenCanvas(width, height);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.fillStyle = "white";
    context.fillRect(0, 0, width, height);
    context.imageSmoothingQuality = "high";
    context.drawImage(image, ...window_of(image), 0, 0, width, height);
    const rgba = context.getImageData(0, 0, width, height).data;
    return Uint8Array.from({ length: 3 * height * width }, (_, i) => rgba[4 * Math.floor(i / 3) + (i % 3)]);
  }

  async function look(file) {
    if (busy) return;
    busy = true;
    try {
      const image = await createImageBitmap(file);
      const start = performance.now();
      const pixels = pixels_of(image);
      outputs = await run(pixels);
      picture = image;
      api.pixels = pixels;
      draw();
      show_classes();
      say(`${Math.round(performance.now() - start)} ms`);
    } catch (error) {
      say(`This file could not be shown: ${error.message}`);
    } finally {
      busy = false;
    }
  }

  // ---- what comes out ----

  // One map a head: the row that asks, without the columns of the prefix tokens.
  function maps(name) {
    const { data, dims } = outputs[name];
    if (dims.length === 3) return [Float32Array.from(data)];
    const [, heads, rows, columns] = dims;
    const { prefix } = facts.layers[name];
    return Array.from({ length: heads }, (_, head) =>
      data.slice(head * rows * columns + prefix, head * rows * columns + columns));
  }

  function chosen_map() {
    const all = maps(element("layer").value);
    const head = element("head").value;
    if (head !== "mean") return all[Number(head)] ?? all[0];
    return all[0].map((_, i) => all.reduce((sum, one) => sum + one[i], 0) / all.length);
  }

  function draw() {
    const [left, top, w, h] = window_of(picture);
    stage.width = Math.round(512 * Math.min(1, w / h));
    stage.height = Math.round(512 * Math.min(1, h / w));
    const context = stage.getContext("2d");
    context.drawImage(picture, left, top, w, h, 0, 0, stage.width, stage.height);
    const { grid } = facts.layers[element("layer").value];
    context.globalAlpha = element("cover").value / 100;
    context.drawImage(coloured(chosen_map(), grid), 0, 0, stage.width, stage.height);
    context.globalAlpha = 1;
    api.map = Array.from(chosen_map());
  }

  function coloured(values, [rows, columns]) {
    const low = values.reduce((a, b) => Math.min(a, b), Infinity);
    const high = values.reduce((a, b) => Math.max(a, b), -Infinity);
    const canvas = new OffscreenCanvas(columns, rows);
    const context = canvas.getContext("2d");
    const image = context.createImageData(columns, rows);
    values.forEach((value, i) => {
      const step = Math.round(255 * (high > low ? (value - low) / (high - low) : 0));
      image.data.set([...facts.colours[step], 255], 4 * i);
    });
    context.putImageData(image, 0, 0);
    return canvas;
  }

  function show_classes() {
    const logits = Array.from(outputs.logits.data);
    const list = element("classes");
    list.replaceChildren();
    if (!facts.has_classes) return;
    const values = READINGS[facts.reading](logits);
    let order = values.map((_, i) => i);
    if (facts.reading !== "values") order.sort((a, b) => values[b] - values[a]);
    if (facts.reading === "labels")
      order = order.filter((index, place) => place === 0 || values[index] >= 0.5);
    for (const index of order.slice(0, 5)) {
      const item = document.createElement("li");
      const shown = facts.reading === "values"
        ? values[index].toPrecision(6) : `${(100 * values[index]).toFixed(1)} %`;
      item.textContent = `${facts.class_names[index] ?? `class ${index}`}: ${shown}`;
      list.append(item);
    }
  }

  function softmax(logits) {
    const highest = Math.max(...logits);
    const powers = logits.map((value) => Math.exp(value - highest));
    const sum = powers.reduce((a, b) => a + b, 0);
    return powers.map((power) => power / sum);
  }

  // ---- the page ----

  function say(text) {
    element("status").textContent = text;
  }

  function fill(select, names, labels = names) {
    select.replaceChildren(...names.map((name, i) => new Option(labels[i], name)));
  }

  function fill_heads() {
    const { heads } = facts.layers[element("layer").value];
    const numbers = Array.from({ length: heads }, (_, i) => String(i));
    fill(element("head"), ["mean", ...numbers], ["mean of all", ...numbers]);
  }

  fill(element("layer"), Object.keys(facts.layers));
  element("layer").value = facts.start;
  fill_heads();
  element("layer").addEventListener("change", () => { fill_heads(); if (outputs) draw(); });
  for (const name of ["head", "cover"])
    element(name).addEventListener("input", () => outputs && draw());
  element("file").addEventListener("change", (event) => {
    if (event.target.files.length) look(event.target.files[0]);
  });
  addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("over");
  });
  addEventListener("dragleave", () => document.body.classList.remove("over"));
  addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("over");
    if (event.dataTransfer.files.length) look(event.dataTransfer.files[0]);
  });
  addEventListener("paste", (event) => {
    if (event.clipboardData.files.length) look(event.clipboardData.files[0]);
  });

  const api = { run, look, settled: () => !busy, outputs: () => outputs };
  window.kerasvit = api;
  api.ready = start()
    .catch((error) => say(`The model could not be loaded: ${error.message}`))
    .finally(() => { busy = false; });
})();
