/* Words of a prediction against those of its reference. */

const WORDS = new Intl.Segmenter("en", { granularity: "word" });
const MOST_CELLS = 4_000_000;

/** The pieces of a text; `key` is what words are compared by, and null for what stands between words. */
function pieces(text) {
  return Array.from(WORDS.segment(text), ({ segment, isWordLike }) => ({
    segment,
    key: isWordLike ? segment.toLowerCase() : null,
  }));
}

/** Which of two lists' keys are in their longest common subsequence, as two sets of positions. */
function commonWords(first, second) {
  if (first.length * second.length > MOST_CELLS) return sharedWords(first, second);
  const lengths = subsequenceLengths(first, second);
  const width = second.length + 1;
  const kept = [new Set(), new Set()];
  for (let i = 0, j = 0; i < first.length && j < second.length;) {
    if (first[i] === second[j]) {
      kept[0].add(i++);
      kept[1].add(j++);
    } else if (lengths[(i + 1) * width + j] >= lengths[i * width + j + 1]) i++;
    else j++;
  }
  return kept;
}

/** Cell (i, j) holds the length of the longest common subsequence of what follows i in `first` and j in `second`. */
function subsequenceLengths(first, second) {
  const width = second.length + 1;
  const lengths = new Uint16Array((first.length + 1) * width);
  for (let i = first.length - 1; i >= 0; i--) {
    for (let j = second.length - 1; j >= 0; j--) {
      const [down, right] = [lengths[(i + 1) * width + j], lengths[i * width + j + 1]];
      lengths[i * width + j] = first[i] === second[j] ? lengths[(i + 1) * width + j + 1] + 1 : Math.max(down, right);
    }
  }
  return lengths;
}

/** For texts too long to put in line: the words that occur in the other text at all. */
function sharedWords(first, second) {
  const within = (keys, others) => {
    const known = new Set(others);
    return new Set(keys.flatMap((key, i) => (known.has(key) ? [i] : [])));
  };
  return [within(first, second), within(second, first)];
}

/** A prediction with the words that its reference doesn't have marked, and the words it misses. */
function compared(reference, prediction) {
  const [wanted, found] = [pieces(reference), pieces(prediction)];
  const [wantedWords, foundWords] = [wanted, found].map((list) => list.filter((piece) => piece.key !== null));
  const [hit, kept] = commonWords(
    wantedWords.map((piece) => piece.key),
    foundWords.map((piece) => piece.key),
  );
  const extra = new Set(foundWords.filter((_, i) => !kept.has(i)));
  const missed = wantedWords.filter((_, i) => !hit.has(i)).map((piece) => piece.segment);
  return { marked: markRuns(found, extra), missed, common: kept.size };
}

/** Texts and <mark> elements; neighbouring marked words share one mark. */
function markRuns(list, extra) {
  const parts = [];
  let run = "",
    between = "",
    plain = "";
  const close = () => {
    if (run) parts.push(plain, h("mark", {}, run));
    if (run) plain = "";
    [run, plain, between] = ["", plain + between, ""];
  };
  for (const piece of list) {
    if (extra.has(piece)) [run, between] = [run + (run ? between : "") + piece.segment, ""];
    else if (piece.key === null && run) between += piece.segment;
    else {
      close();
      plain += piece.segment;
    }
  }
  close();
  return [...parts, plain];
}
