// A map over its photograph, by the formulas of kerasvit.render.overlay ("fade" and "heatmap"),
// kerasvit.saliency.normalise and kerasvit.images.resampling, so that it looks as the sheet does.
function openDrawing(canvas, picture, facts, colours) {
  const FADED = 0.2; // Up to here the photograph is as it was.
  const GROWTH = 0.6;
  const SHADING = 0.4;
  const DIMMED = 0.45; // What the model did not see.
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const [width, height] = [canvas.width, canvas.height];
  const scale = width / facts.size[1];
  const [top, left, bottom, right] = facts.box.map((side) => side * scale);
  // The pixels whose centres the model saw.
  const seen = {
    top: clamp(Math.ceil(top - 0.5), 0, height), bottom: clamp(Math.ceil(bottom - 0.5), 0, height),
    left: clamp(Math.ceil(left - 0.5), 0, width), right: clamp(Math.ceil(right - 0.5), 0, width),
  };
  const [ground, shades] = photograph();
  const drawn = new ImageData(width, height);
  const weightsOf = new Map(); // Of the axes, by their number of cells.

  // The photograph, grey and dim where nothing was seen, and how its light shades the colours.
  function photograph() {
    context.imageSmoothingQuality = "high";
    context.drawImage(picture, 0, 0, width, height);
    const pixels = context.getImageData(0, 0, width, height).data;
    const greys = new Float32Array(width * height);
    let sum = 0;
    for (let i = 0; i < greys.length; i++) {
      greys[i] = 0.299 * pixels[4 * i] + 0.587 * pixels[4 * i + 1] + 0.114 * pixels[4 * i + 2];
      sum += greys[i];
    }
    const mean = Math.max(sum / greys.length, 1);
    const light = greys.map((grey) => 1 + SHADING * (Math.min(grey / mean, 2) - 1));
    for (let y = 0, i = 0; y < height; y++) {
      for (let x = 0; x < width; x++, i++) {
        if (y >= seen.top && y < seen.bottom && x >= seen.left && x < seen.right) continue;
        pixels[4 * i] = pixels[4 * i + 1] = pixels[4 * i + 2] = DIMMED * greys[i];
      }
    }
    return [pixels, light];
  }

  // Lowest and highest of what is drawn, equal where the map is flat; and whether patches that
  // outshine the rest are cut.
  function limits(values, clips) {
    const sorted = Float32Array.from(values).sort();
    const [low, highest] = [sorted[0], sorted[sorted.length - 1]];
    const least = 1e-6 * Math.max(Math.abs(low), Math.abs(highest));
    const level = sorted[Math.max(sorted.length - 1 - Math.ceil(sorted.length / 100), 0)];
    const clipped = clips && level - low > least && highest - low > 1.5 * (level - low);
    const high = clipped ? level : highest;
    return { low, high: high - low <= least ? low : high, clipped };
  }

  // `within` is the range of the colours where several maps share one.
  function draw(found, { cover, smooth, alone, clips, within }) {
    const range = within ?? limits(found.patches, clips);
    const spread = range.high - range.low;
    const scaled = found.patches.map((value) => (spread > 0 ? clamp((value - range.low) / spread, 0, 1) : 0));
    const rows = axis(found, 0, smooth);
    const columns = axis(found, 1, smooth);
    paint(smooth ? cubic(scaled, found.grid, rows, columns) : nearest(scaled, found.grid, rows, columns), cover, alone);
    context.putImageData(drawn, 0, 0);
    return range;
  }

  // Where each pixel that was seen lies on an axis of the grid: its cell, or four and their weights.
  function axis(found, which, smooth) {
    const key = `${which} ${found.sides[which]} ${found.pooled} ${smooth}`;
    if (!weightsOf.has(key)) weightsOf.set(key, makeAxis(found, which, smooth));
    return weightsOf.get(key);
  }

  function makeAxis(found, which, smooth) {
    const [start, stop] = which ? [left, right] : [top, bottom];
    const [first, last] = which ? [seen.left, seen.right] : [seen.top, seen.bottom];
    const cells = found.grid[which];
    const length = last - first;
    const taps = smooth ? 4 : 1;
    const [places, weights] = [new Int32Array(taps * length), new Float32Array(taps * length)];
    for (let i = 0; i < length; i++) {
      const position = ((first + i + 0.5 - start) / (stop - start)) * (found.sides[which] / found.pooled);
      const before = Math.floor(position - 0.5);
      for (let t = 0; t < taps; t++) {
        const cell = smooth ? before - 1 + t : Math.floor(position);
        places[taps * i + t] = clamp(cell, 0, cells - 1);
        weights[taps * i + t] = smooth ? kernel(cell + 0.5 - position) : 1;
      }
    }
    return { places, weights, length };
  }

  function kernel(distance) {
    const x = Math.abs(distance); // Cubic convolution, a = -0.5.
    if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
    return x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
  }

  function cubic(values, grid, rows, columns) {
    const across = new Float32Array(grid[0] * columns.length);
    for (let row = 0, at = 0; row < grid[0]; row++) {
      for (let i = 0; i < columns.length; i++, at++) {
        for (let t = 4 * i; t < 4 * i + 4; t++) across[at] += columns.weights[t] * values[row * grid[1] + columns.places[t]];
      }
    }
    const all = new Float32Array(rows.length * columns.length);
    for (let i = 0, at = 0; i < rows.length; i++) {
      const [a, b, c, d] = [0, 1, 2, 3].map((t) => rows.places[4 * i + t] * columns.length);
      const [u, v, w, z] = rows.weights.subarray(4 * i, 4 * i + 4);
      for (let x = 0; x < columns.length; x++, at++) {
        all[at] = u * across[a + x] + v * across[b + x] + w * across[c + x] + z * across[d + x];
      }
    }
    return all;
  }

  function nearest(values, grid, rows, columns) {
    const all = new Float32Array(rows.length * columns.length);
    for (let i = 0, at = 0; i < rows.length; i++) {
      const start = rows.places[i] * grid[1];
      for (let x = 0; x < columns.length; x++, at++) all[at] = values[start + columns.places[x]];
    }
    return all;
  }

  function paint(values, cover, alone) {
    drawn.data.set(ground);
    const table = new Float32Array(256);
    for (let i = 0; i < 256; i++) {
      const share = clamp((i / 255 - FADED) / (1 - FADED), 0, 1);
      table[i] = alone ? 1 : cover * share ** GROWTH;
    }
    const data = drawn.data;
    for (let y = seen.top, at = 0; y < seen.bottom; y++) {
      for (let x = seen.left, i = y * width + seen.left; x < seen.right; x++, i++, at++) {
        const level = clamp((values[at] * 255 + 0.5) | 0, 0, 255);
        const weight = table[level];
        if (weight === 0) continue;
        const shade = alone ? 1 : shades[i];
        for (let c = 0; c < 3; c++) {
          const colour = Math.min(colours[3 * level + c] * shade, 255);
          data[4 * i + c] = ground[4 * i + c] * (1 - weight) + colour * weight;
        }
      }
    }
  }

  // Left, top, right, bottom of a cell in the canvas. Cells at the edge may hold fewer patches.
  function cell(block, pooled, row, column) {
    const edge = (index, which) => Math.min(index * pooled, block.patches[which]) / block.patches[which];
    return [
      left + (right - left) * edge(column, 1), top + (bottom - top) * edge(row, 0),
      left + (right - left) * edge(column + 1, 1), top + (bottom - top) * edge(row + 1, 0),
    ].map(Math.round);
  }

  // White within black, to be seen on every ground; dashed until the patch is pinned.
  function outline([x, y, end, below], pinned) {
    const thick = Math.max(2, width / 320);
    for (const [colour, size] of [["#000", 2.2 * thick], ["#fff", thick]]) {
      context.strokeStyle = colour;
      context.lineWidth = size;
      context.setLineDash(pinned || colour === "#000" ? [] : [3 * thick, 2 * thick]);
      context.strokeRect(x, y, end - x, below - y);
    }
    context.setLineDash([]);
  }

  return { draw, cell, outline };
}

function clamp(value, low, high) {
  return value < low ? low : value > high ? high : value;
}
