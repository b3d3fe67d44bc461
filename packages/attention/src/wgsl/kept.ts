/** More would be a leak: options differ from call to call only where somebody computes them. */
const MOST_KEPT = 256;

/** `make` for options that are data alone, once for equal ones: a kernel's text costs more than a short launch. */
export function kept<Options extends unknown[], Made>(
  make: (...options: Options) => Made,
): (...options: Options) => Made {
  const all = new Map<string, Made>();
  return (...options) => {
    const key = JSON.stringify(options);
    let made = all.get(key);
    if (made === undefined) {
      if (all.size >= MOST_KEPT) all.clear();
      made = make(...options);
      all.set(key, made);
    }
    return made;
  };
}
