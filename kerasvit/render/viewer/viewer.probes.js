// How far and how widely the heads look: a dot for each head, above its layer.
function openProbes(svg, facts, choose) {
  const NAMESPACE = "http://www.w3.org/2000/svg";
  const [WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT] = [320, 150, 34, 20, 8, 6];
  const UNITS = { distance: "px", entropy: "bits" };
  const known = Object.keys(UNITS).filter((name) => facts.blocks.some((block) => block[name]));
  const digits = new Intl.NumberFormat("en", { maximumSignificantDigits: 3, useGrouping: false });
  let dots = [];

  function make(tag, attributes, text = "") {
    const made = document.createElementNS(NAMESPACE, tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.textContent = text;
    svg.append(made);
    return made;
  }

  function show(name) {
    svg.replaceChildren();
    const highest = Math.max(...facts.blocks.flatMap((block) => block[name] ?? []), 1e-9);
    const x = (layer) => LEFT + ((layer + 0.5) / facts.blocks.length) * (WIDTH - LEFT - RIGHT);
    const y = (value) => HEIGHT - BOTTOM - (value / highest) * (HEIGHT - BOTTOM - TOP);
    for (const share of [0, 0.5, 1]) {
      make("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: y(share * highest), y2: y(share * highest) });
      make("text", { x: LEFT - 4, y: y(share * highest) + 4, "text-anchor": "end" }, digits.format(share * highest));
    }
    make("text", { x: WIDTH - RIGHT, y: HEIGHT - 4, "text-anchor": "end" }, `layers, from first to last`);
    make("text", { x: LEFT, y: HEIGHT - 4 }, UNITS[name]);
    dots = [];
    facts.blocks.forEach((block, layer) => (block[name] ?? []).forEach((value, head) => {
      const dot = make("circle", { cx: x(layer), cy: y(value), r: 3 });
      dot.addEventListener("click", () => choose(layer, head));
      dots.push({ dot, layer, head });
    }));
  }

  function mark(layer, head) {
    for (const one of dots) {
      const isShown = one.layer === layer && (head < 0 || one.head === head);
      one.dot.classList.toggle("shown", isShown);
      one.dot.setAttribute("r", isShown ? 4.5 : 3);
      if (isShown) svg.append(one.dot); // Above the others.
    }
  }

  // What can be said of a head, or of the mean of all.
  function words(layer, head) {
    const said = known.filter((name) => facts.blocks[layer][name]).map((name) => {
      const values = facts.blocks[layer][name];
      const value = head < 0 ? values.reduce((sum, one) => sum + one, 0) / values.length : values[head];
      return `${name} ${digits.format(value)} ${UNITS[name]}`;
    });
    return said.length ? `Attention of ${head < 0 ? "the heads" : "this head"}: ${said.join(", ")}` : "";
  }

  return { known, show, mark, words };
}
