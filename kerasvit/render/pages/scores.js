// The scores in this page: `facts` says what the blocks are, and each block's lie in a script
// element of their own, as base64 of gzip of two parts, the rows of the prefix tokens over all
// patches and those of the patches over cells. Each is [low and high of each row | shares of the
// prefix tokens | bytes of patches].
function openScores(facts, textOf) {
  const KEPT = 3; // Decoded blocks that stay in memory; a large one has tens of megabytes.
  const MEAN = -1;
  const cache = new Map();

  async function unpack(index) {
    const stream = new Blob([decodeBase64(textOf(index))]).stream()
      .pipeThrough(new DecompressionStream("gzip"));
    const buffer = await new Response(stream).arrayBuffer();
    const block = facts.blocks[index];
    const cells = block.grid[0] * block.grid[1];
    const tokens = part(buffer, 0, block, block.tokens.length, block.patches);
    return [tokens, part(buffer, tokens.end, block, block.asks ? cells : 0, block.grid)];
  }

  function part(buffer, start, block, rows, grid) {
    const [all, width, count] = [block.heads * rows, block.prefix.length, grid[0] * grid[1]];
    const end = start + all * (8 + 4 * width + count);
    // Numbers of four bytes lie at multiples of four, which the part before need not end at.
    const numbers = new Float32Array(buffer.slice(start, start + all * (8 + 4 * width)));
    return {
      rows, grid, end,
      ranges: numbers.subarray(0, 2 * all),
      prefixes: numbers.subarray(2 * all),
      patches: new Uint8Array(buffer, end - all * count, all * count),
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

  // One row of scores: where a query looks, of one head or the mean of all; on which grid, how many
  // patches a cell of it has along each side, and how many there are in all.
  async function row(index, head, query) {
    const block = facts.blocks[index];
    const [tokens, patches] = await load(index);
    const isToken = query.token !== undefined;
    const data = isToken ? tokens : patches;
    const at = isToken ? block.tokens.indexOf(query.token) : query.row * block.grid[1] + query.column;
    const values = new Float32Array(data.grid[0] * data.grid[1]);
    const prefix = new Float32Array(block.prefix.length);
    const heads = head === MEAN ? [...Array(block.heads).keys()] : [head];
    for (const one of heads) add(data, one * data.rows + at, 1 / heads.length, values, prefix);
    return { patches: values, prefix, grid: data.grid, pooled: isToken ? 1 : block.pooled, sides: block.patches };
  }

  function add(data, at, share, values, prefix) {
    const [low, high] = [data.ranges[2 * at], data.ranges[2 * at + 1]];
    const [base, step] = [low * share, ((high - low) / 255) * share];
    const start = at * values.length;
    for (let i = 0; i < values.length; i++) values[i] += base + step * data.patches[start + i];
    for (let i = 0; i < prefix.length; i++) prefix[i] += data.prefixes[at * prefix.length + i] * share;
  }

  return { row, MEAN };
}

function decodeBase64(text) {
  const binary = atob(text.trim());
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}
