/** So many are enough to see what was meant. */
const SHOWN = 3;
/** A shorter text is a part of too many names. */
const SHORTEST_PART = 4;

/**
 * The known names that are spelled most like the given one, at most three, the most alike first; none where none is near.
 * Case, underscores and dashes do not count, so the name of an environment variable finds its setting.
 */
export function nearestNames(given: string, known: readonly string[]): string[] {
  const wanted = spelling(given);
  const near = known
    .map((name) => ({ name, distance: distanceTo(wanted, spelling(name)) }))
    .filter(({ distance }) => distance < Infinity)
    .toSorted((one, other) => one.distance - other.distance);
  const least = near[0]?.distance ?? 0;
  return near.slice(0, SHOWN).flatMap(({ name, distance }) => (distance <= 2 * least ? [name] : []));
}

/** "did you mean a or b?", or the advice in its place where no known name is near. */
export function suggestion(given: string, known: readonly string[], advice: string): string {
  const near = nearestNames(given, known);
  return near.length === 0 ? advice : `did you mean ${near.join(" or ")}?`;
}

function spelling(name: string): string {
  return name
    .slice(0, 100)
    .toLowerCase()
    .replace(/[^a-z0-9]/g, "");
}

/** Infinity: too different to be meant. A name that has all letters in their order, such as maxGpus, is meant too. */
function distanceTo(wanted: string, name: string): number {
  const distance = edits(wanted, name);
  if (distance <= Math.max(1, Math.floor(wanted.length / 4))) {
    return distance;
  }
  return wanted.length >= SHORTEST_PART && isWithin(wanted, name) ? distance : Infinity;
}

function isWithin(wanted: string, name: string): boolean {
  let at = 0;
  for (const letter of name) {
    at += letter === wanted[at] ? 1 : 0;
  }
  return at === wanted.length;
}

/** Letters to add, leave out or replace (Levenshtein). */
function edits(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, index) => index);
  for (const [index, letter] of Array.from(one).entries()) {
    const next = [index + 1];
    for (const [place, compared] of Array.from(other).entries()) {
      const kept = (row[place] ?? 0) + (letter === compared ? 0 : 1);
      next.push(Math.min(kept, (row[place + 1] ?? 0) + 1, (next[place] ?? 0) + 1));
    }
    row = next;
  }
  return row[other.length] ?? 0;
}
