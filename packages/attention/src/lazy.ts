/**
 * What `load` imports, asked for once: Node resolves an import() anew at every call, which takes longer than queueing a kernel.
 * A load that failed is tried again.
 */
export function lazily<Module>(load: () => Promise<Module>): () => Promise<Module> {
  let loading: Promise<Module> | undefined;
  return () => {
    loading ??= load().catch((error) => {
      loading = undefined;
      throw error;
    });
    return loading;
  };
}
