/**
 * Which kernel modules an initramfs needs, in which order. Pure. Knowledge comes from `modules.dep` where the package ships it (Ubuntu) and
 * otherwise from the modules themselves: Debian's package has no modules.dep (its postinst runs depmod), but each module states its
 * dependencies in its `.modinfo` section.
 */

/** Module names use `-` and `_` as the same letter. */
export function moduleName(pathOrName: string): string {
  const base = pathOrName.slice(pathOrName.lastIndexOf('/') + 1);
  return base.replace(/\.ko(\.(xz|zst|gz))?$/, '').replaceAll('-', '_');
}

export type ModuleFacts = { path: string; depends: readonly string[] };

/** `kernel/a.ko: kernel/b.ko kernel/c.ko` lines → name → facts. Lines of another form are passed over. */
export function parseModulesDep(text: string): Map<string, ModuleFacts> {
  const modules = new Map<string, ModuleFacts>();
  for (const line of text.split('\n')) {
    const colon = line.indexOf(':');
    if (colon <= 0) continue;
    const path = line.slice(0, colon).trim();
    if (path === '') continue;
    const depends = line
      .slice(colon + 1)
      .split(/\s+/)
      .filter((word) => word !== '')
      .map(moduleName);
    modules.set(moduleName(path), { path, depends });
  }
  return modules;
}

/** The names in a `modules.builtin` file: asked for, but part of the kernel already. */
export function parseModulesBuiltin(text: string): Set<string> {
  return new Set(
    text
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '')
      .map(moduleName),
  );
}

/** The `depends=` entry of an uncompressed module; no entry, no dependencies. */
export function dependsOf(module: Uint8Array): string[] {
  const file = Buffer.from(module.buffer, module.byteOffset, module.length);
  const key = Buffer.from('depends=');
  // In .modinfo each entry starts after a NUL; the same letters inside other text do not.
  for (let at = file.indexOf(key), tries = 0; at >= 0 && tries < 64; at = file.indexOf(key, at + 1), tries++) {
    if (at > 0 && file[at - 1] !== 0) continue;
    const end = file.indexOf(0, at);
    const text = file.toString('latin1', at + key.length, Math.min(end < 0 ? file.length : end, at + 4096));
    if (/^[\w,-]*$/.test(text))
      return text
        .split(',')
        .filter((word) => word !== '')
        .map(moduleName);
  }
  return [];
}

export type LoadOrder = {
  /** Modules to load, dependencies first, each once. */
  order: readonly ModuleFacts[];
  builtin: readonly string[];
  /** Asked for and neither a module nor built in. */
  missing: readonly string[];
};

export function loadOrder(wanted: readonly string[], modules: ReadonlyMap<string, ModuleFacts>, builtin: ReadonlySet<string>): LoadOrder {
  const order: ModuleFacts[] = [];
  const seen = new Set<string>();
  const builtinAsked: string[] = [];
  const missing: string[] = [];
  // Marked before its dependencies are visited: a cycle, which no sound kernel has, must not hang a build.
  const visit = (name: string): void => {
    if (seen.has(name)) return;
    seen.add(name);
    const facts = modules.get(name);
    if (facts === undefined) {
      (builtin.has(name) ? builtinAsked : missing).push(name);
      return;
    }
    for (const needed of facts.depends) visit(needed);
    order.push(facts);
  };
  for (const name of wanted) visit(moduleName(name));
  return { order, builtin: builtinAsked, missing };
}
