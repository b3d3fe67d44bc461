import type { Expression } from '../../device/wasm-run.ts';
import type { WasmRuntime } from '../../device/wasm-runtime.ts';
import type { Table, Traced } from '../../mods/expression.ts';
import { compileToWasm } from '../../mods/to-wasm.ts';

export interface CompiledExpression {
  modules: Expression;
  /** Of mask and score, in the order in which the modules read their addresses. */
  tables: readonly Table[];
}

const KEPT = 32;

/** Compiles the expressions of calls, each text once. */
export class WasmExpressions {
  private readonly runtime: WasmRuntime;
  private readonly compiled = new Map<string, Expression>();
  private compiledSoFar = 0;

  constructor(runtime: WasmRuntime) {
    this.runtime = runtime;
  }

  /** @param derived expressions over the score's tables whose values gradients need; their tables are the score's alone */
  async compile(
    mask: Traced | undefined,
    score: Traced | undefined,
    derived: readonly Traced[] = [],
  ): Promise<CompiledExpression | undefined> {
    if (!mask && !score) return undefined;
    const { bytes, tables } = compileToWasm(mask, score, this.runtime);
    const all = [bytes, ...derived.map((each) => compileToWasm(undefined, each, this.runtime).bytes)];
    const key = all.map((each) => String.fromCharCode(...each.subarray(0, 60_000)) + each.length).join('|');
    const known = this.compiled.get(key);
    if (known) return { modules: known, tables };
    const [module, ...rest] = await Promise.all(all.map((each) => WebAssembly.compile(each)));
    const modules = { id: ++this.compiledSoFar, module, derived: rest };
    if (this.compiled.size >= KEPT) {
      const oldest = this.compiled.keys().next().value;
      if (oldest !== undefined) this.compiled.delete(oldest);
    }
    this.compiled.set(key, modules);
    return { modules, tables };
  }
}
