/**
 * A function that keeps its last results: for plans, which follow from sizes and options alone, take milliseconds to
 * make, and whose lists a device keeps as long as they live. The key is all of the arguments, so that another geometry
 * never meets a stranger's plan.
 * @param make pure; arguments that JSON can tell apart
 * @param most how many results are kept; the one longest unused goes first
 */
export function remember<Arguments extends readonly unknown[], Result>(
  make: (...given: Arguments) => Result,
  most = 8,
): (...given: Arguments) => Result {
  const results = new Map<string, Result>();
  return (...given) => {
    const name = JSON.stringify(given);
    const known = results.has(name);
    const result = known ? (results.get(name) as Result) : make(...given);
    results.delete(name);
    results.set(name, result);
    if (results.size > most) results.delete(results.keys().next().value as string);
    return result;
  };
}
