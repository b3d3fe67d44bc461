import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { crc32 } from 'node:zlib';
import { readSafetensors, writeSafetensors } from '@saccade/attention';
import { papers } from '@saccade/papers';
import { catalogue } from '@saccade/papers/catalogue';
import type { LedgerFile } from '@saccade/papers/kit';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { main } from './main.ts';

let folder: string;
const at = (name: string) => join(folder, name);

/** Runs the command in this process and keeps what it prints. */
async function saccade(...args: string[]) {
  let out = '';
  let error = '';
  const code = await main(args, {
    out: (text) => {
      out += text;
    },
    error: (text) => {
      error += text;
    },
    interactive: false,
  });
  return { code, out, error };
}

const json = async (...args: string[]) => {
  const result = await saccade(...args, '--json');
  expect(result.error).toBe('');
  return JSON.parse(result.out);
};

/** A file of q, k, v with a shape each; numbers from a sine, so that they differ and repeat. */
function qkv(
  name: string,
  shape: readonly number[],
  change: (
    tensors: Map<string, { shape: readonly number[]; data: number[]; dtype?: 'F16' | 'F64' }>,
  ) => void = () => {},
): string {
  const size = shape.reduce((product, length) => product * length, 1);
  const wave = (phase: number) => Array.from({ length: size }, (_, i) => Math.sin(i * 0.7 + phase));
  const tensors = new Map(['q', 'k', 'v'].map((key, phase) => [key, { shape, data: wave(phase) }]));
  change(tensors);
  writeFileSync(at(name), writeSafetensors(tensors));
  return at(name);
}

/** A PNG whose header claims a size; there are no pixels behind it. */
function pngHeader(width: number, height: number): Uint8Array {
  const chunk = (type: string, data: Buffer) => {
    const body = Buffer.concat([Buffer.from(type), data]);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(data.length);
    const sum = Buffer.alloc(4);
    sum.writeUInt32BE(crc32(body));
    return Buffer.concat([length, body, sum]);
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2, 0, 0, 0], 8);
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([
    signature,
    chunk('IHDR', header),
    chunk('IDAT', Buffer.alloc(0)),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'saccade-cli-'));
  mkdirSync(at('empty'));
  writeFileSync(
    at('text.txt'),
    'Call me Ishmael. Some years ago, never mind how long precisely. '.repeat(40),
  );
  writeFileSync(at('long.txt'), 'All work and no play makes a dull page. '.repeat(280_000));
  writeFileSync(at('binary.txt'), Uint8Array.from([72, 0, 73]));
  writeFileSync(at('latin.txt'), Uint8Array.from([72, 0xe4, 72]));
  writeFileSync(at('blank.txt'), ' \n ');
  writeFileSync(at('huge.png'), pngHeader(20_000, 10_000));
  const picture = sharp({ create: { width: 48, height: 24, channels: 3, background: '#48a' } });
  await picture.clone().png().toFile(at('picture.png'));
  writeFileSync(at('cut.png'), readFileSync(at('picture.png')).subarray(0, 60));
  qkv('good.safetensors', [1, 2, 15, 8]);
  writeFileSync(at('cut.safetensors'), readFileSync(at('good.safetensors')).subarray(0, 400));
  qkv('nan.safetensors', [1, 2, 16, 8], (tensors) => {
    tensors.get('k')!.data[1 * 16 * 8 + 3 * 8 + 5] = Number.NaN;
  });
  qkv('flat.safetensors', [16, 8]);
  qkv('types.safetensors', [1, 2, 16, 8], (tensors) => {
    tensors.get('v')!.dtype = 'F16';
  });
  qkv('two.safetensors', [1, 2, 16, 8], (tensors) => tensors.delete('v'));
  qkv('heads.safetensors', [1, 3, 16, 8], (tensors) => {
    for (const name of ['k', 'v'])
      tensors.set(name, { shape: [1, 2, 16, 8], data: new Array(256).fill(0.5) });
  });
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('list and show', () => {
  test('list --json has every paper of the catalogue once', async () => {
    const rows = await json('list');
    expect(rows).toHaveLength(catalogue.length);
    expect(new Set(rows.map((row: { slug: string }) => row.slug)).size).toBe(catalogue.length);
    for (const row of rows) {
      expect(row).toMatchObject({
        slug: expect.any(String),
        title: expect.any(String),
        family: expect.any(String),
      });
      expect(row.runnable).toBe(papers.some((paper) => paper.slug === row.slug));
    }
  });

  test('list in words names the papers that run first', async () => {
    const { out, code } = await saccade('list');
    expect(code).toBe(0);
    expect(out).toContain(`${papers.length} of ${catalogue.length} papers run`);
    expect(out.split('\n')[1]).toMatch(/ runs /);
  });

  test.each(papers.map((paper) => [paper.slug]))('show %s tells options and claims', async (slug) => {
    const shown = await json('show', slug);
    expect(shown).toMatchObject({ slug, runnable: true, options: { properties: expect.any(Object) } });
    expect(shown.claims.length).toBeGreaterThan(0);
    const { out } = await saccade('show', slug);
    for (const name of Object.keys(shown.options.properties)) expect(out).toContain(`  ${name}`);
    for (const claim of shown.claims) expect(out).toContain(claim.states);
  });

  test('show of a paper that does not run says so', async () => {
    const other = catalogue.find((paper) => !papers.some((one) => one.slug === paper.slug))!;
    expect(await json('show', other.slug)).toMatchObject({ slug: other.slug, runnable: false });
    expect((await saccade('show', other.slug)).out).toContain('does not run here yet');
  });
});

describe('attend', () => {
  test('writes out and logSumExp, and is dense softmax attention when the window covers all', async () => {
    const out = at('out.safetensors');
    const told = await json(
      'attend',
      'fna',
      '--qkv',
      at('good.safetensors'),
      '--out',
      out,
      '--device',
      'reference',
      '--options',
      '{"grid":[15],"window":[15]}',
    );
    expect(told).toMatchObject({ slug: 'fna', device: 'reference', tier: 'reference', out });
    const file = readSafetensors(readFileSync(out));
    expect(file.get('out')!.shape).toEqual([1, 2, 15, 8]);
    expect(file.get('logSumExp')!.shape).toEqual([1, 2, 15]);
    const { data: q } = readSafetensors(readFileSync(at('good.safetensors'))).get('q')!;
    const { data: k } = readSafetensors(readFileSync(at('good.safetensors'))).get('k')!;
    for (const [head, query] of [
      [0, 0],
      [1, 7],
      [1, 14],
    ]) {
      const scores = Array.from({ length: 15 }, (_, key) => {
        let dot = 0;
        for (let d = 0; d < 8; d++) dot += q[(head * 15 + query) * 8 + d] * k[(head * 15 + key) * 8 + d];
        return dot / Math.sqrt(8);
      });
      const expected = Math.log(scores.reduce((sum, score) => sum + Math.exp(score), 0));
      expect(file.get('logSumExp')!.data[head * 15 + query]).toBeCloseTo(expected, 5);
    }
  });

  test('leaves no temporary file, and an output that cannot be made leaves the old one', async () => {
    writeFileSync(at('old.safetensors'), 'precious');
    const { code } = await saccade(
      'attend',
      'fna',
      '--qkv',
      at('nan.safetensors'),
      '--out',
      at('old.safetensors'),
      '--device',
      'reference',
    );
    expect(code).toBe(2);
    expect(readFileSync(at('old.safetensors'), 'utf8')).toBe('precious');
    expect(readdirSync(folder).filter((name) => name.endsWith('.part'))).toEqual([]);
  });
});

describe('run', () => {
  test.each(papers.map((paper) => [paper.slug, paper.inputs[0]] as const))(
    '%s runs on the %s that comes along',
    async (slug) => {
      const told = await json('run', slug, '--device', 'reference');
      expect(told.input.grid.length).toBeGreaterThan(0);
      expect(told.keptMass).toBeGreaterThan(0);
      expect(told.keptMass).toBeLessThanOrEqual(1 + 1e-9);
      expect(told.flops).toBeGreaterThan(0);
      expect(told.timeMs).toBeGreaterThan(0);
      expect(Number.isFinite(told.relativeError)).toBe(true);
    },
  );

  test('writes tensors, or a picture', async () => {
    const { code, out } = await saccade(
      'run',
      'fna',
      '--image',
      at('picture.png'),
      '--grid',
      '6x12',
      '--device',
      'reference',
      '--out',
      at('run.safetensors'),
    );
    expect([code, out]).toEqual([0, expect.stringContaining('of the dense attention mass kept')]);
    expect([...readSafetensors(readFileSync(at('run.safetensors'))).keys()]).toEqual([
      'q',
      'k',
      'v',
      'out',
      'logSumExp',
      'dense',
    ]);
    expect(
      (
        await saccade(
          'run',
          'fna',
          '--image',
          at('picture.png'),
          '--grid',
          '6x12',
          '--device',
          'reference',
          '--out',
          at('run.png'),
        )
      ).code,
    ).toBe(0);
    expect(await sharp(at('run.png')).metadata()).toMatchObject({
      format: 'png',
      width: (2 * 12 * 4 + 2) * 4,
      height: 6 * 4 * 4,
    });
  });

  test('uses the start of a text of 11 MB and says so', async () => {
    const slug = papers.find((paper) => paper.inputs.includes('text'))!.slug;
    const told = await json('run', slug, '--text', at('long.txt'), '--grid', '128', '--device', 'reference');
    expect(told.input.notes.join(' ')).toMatch(/only its first 10000000 were read.*first 128 words/);
  });
});

describe('check', () => {
  test('--quick writes a ledger file that a reader can check', async () => {
    const [told] = await json(
      'check',
      'gna',
      '--quick',
      '--device',
      'wasm',
      '--machine',
      'Test Machine',
      '--results',
      at('results'),
    );
    const file: LedgerFile = JSON.parse(readFileSync(at('results/test-machine/gna.json'), 'utf8'));
    expect(told.file).toBe(at('results/test-machine/gna.json'));
    expect(file).toMatchObject({
      slug: 'gna',
      device: 'wasm',
      tier: 'wasm',
      quick: true,
      machine: { id: 'test-machine' },
    });
    expect(file.commit).toMatch(/^[0-9a-f]{12}(\+changes)?$/);
    expect(file.entries.length).toBe((await papers.find((paper) => paper.slug === 'gna')!.claims()).length);
    for (const entry of file.entries) expect(entry.because.length).toBeGreaterThan(0);
    expect(told.failures).toEqual([]);
  });

  test('a quick measurement does not replace a full one', async () => {
    mkdirSync(at('kept/m'), { recursive: true });
    writeFileSync(at('kept/m/gna.json'), JSON.stringify({ quick: false, entries: [] }));
    const { error, code } = await saccade(
      'check',
      'gna',
      '--quick',
      '--device',
      'wasm',
      '--machine',
      'm',
      '--results',
      at('kept'),
    );
    expect([code, error]).toEqual([0, expect.stringContaining('holds a full measurement')]);
    expect(JSON.parse(readFileSync(at('kept/m/gna.json'), 'utf8')).quick).toBe(false);
  });
});

describe('bad usage and bad input end with 2 and say what is allowed', () => {
  const attendArgs = (file: string, ...more: string[]) => [
    'attend',
    'fna',
    '--qkv',
    file,
    '--out',
    'OUT',
    '--device',
    'reference',
    ...more,
  ];
  test.each<[string, string[], RegExp]>([
    ['an unknown command', ['frobnicate'], /unknown command/],
    ['an unknown option', ['list', '--frob'], /unknown option/],
    ['a missing slug', ['show'], /missing required argument/],
    ['an unknown slug', ['show', 'nope'], /slug is nope; allowed: one of .*fna/],
    [
      'a paper that does not run',
      ['run', catalogue.find((paper) => !papers.some((one) => one.slug === paper.slug))!.slug],
      /does not run yet/,
    ],
    [
      'an unknown device',
      ['run', 'fna', '--device', 'tpu'],
      /--device is tpu; allowed: auto, webgpu, wasm, reference/,
    ],
    ['an unknown tier', ['run', 'fna', '--tier', 'fast'], /--tier is fast; allowed/],
    ['a tier of another device', ['run', 'fna', '--device', 'reference', '--tier', 'wasm'], /--tier is wasm/],
    ['no --qkv', ['attend', 'fna', '--out', 'x'], /--qkv/],
    ['a file that does not exist', attendArgs('NONE'), /does not exist/],
    ['a folder as file', attendArgs('empty'), /a folder/],
    ['a file that is no safetensors file', attendArgs('text.txt'), /safetensors/],
    ['a truncated file', attendArgs('cut.safetensors'), /cut off/],
    ['NaN', attendArgs('nan.safetensors'), /NaN in k at \[0, 1, 3, 5\]/],
    [
      'tensors of rank 2',
      attendArgs('flat.safetensors'),
      /q of shape \[16, 8\]; allowed: \[batch, heads, tokens, headDim\]/,
    ],
    ['mixed types', attendArgs('types.safetensors'), /v of type F16; allowed: F32, as q/],
    ['a missing tensor', attendArgs('two.safetensors'), /only q, k; allowed: tensors named q, k and v/],
    ['heads that do not divide', attendArgs('heads.safetensors'), /heads that divide/],
    [
      'options that are no JSON',
      attendArgs('good.safetensors', '--options', '{window}'),
      /--options is \{window\}/,
    ],
    ['options that are a list', attendArgs('good.safetensors', '--options', '[1]'), /a JSON object/],
    ['an unknown option of the paper', attendArgs('good.safetensors', '--options', '{"frob":1}'), /frob/],
    [
      'a window larger than the input',
      attendArgs('good.safetensors', '--options', '{"grid":[15],"window":[17]}'),
      /window/,
    ],
    [
      'a grid that does not fit',
      attendArgs('good.safetensors', '--options', '{"grid":[5,5],"window":[3,3]}'),
      /grid/,
    ],
    [
      'an output in no folder',
      ['attend', 'fna', '--qkv', 'good.safetensors', '--out', 'nowhere/out', '--device', 'reference'],
      /existing folder/,
    ],
    [
      'a picture of 200 megapixels',
      ['run', 'fna', '--image', 'huge.png', '--device', 'reference'],
      /20000 x 10000 = 200 megapixels; allowed: at most 100/,
    ],
    [
      'a truncated picture',
      ['run', 'fna', '--image', 'cut.png', '--device', 'reference'],
      /cannot be decoded/,
    ],
    [
      'a text as picture',
      ['run', 'fna', '--image', 'text.txt', '--device', 'reference'],
      /cannot be decoded/,
    ],
    [
      'two inputs',
      ['run', 'fna', '--image', 'picture.png', '--clip', 'picture.png'],
      /one of --image, --clip, --text/,
    ],
    [
      'a grid of the wrong rank',
      ['run', 'fna', '--image', 'picture.png', '--grid', '8', '--device', 'reference'],
      /--grid is 8; allowed: 2 whole numbers/,
    ],
    [
      'a grid of too many tokens',
      ['run', 'fna', '--image', 'picture.png', '--grid', '4096x4096', '--device', 'reference'],
      /at most 262144 tokens/,
    ],
    ['check without a slug', ['check'], /slugs of papers, or --all/],
    ['check with a slug and --all', ['check', 'fna', '--all'], /fna and --all/],
    ['a source that is none', ['import', 'elsewhere'], /source is elsewhere; allowed: huggingface, arxiv/],
    ['an import of a list without one', ['import', 'list'], /--file is nothing; allowed: ids or addresses/],
    [
      'a set that is none',
      ['import', 'arxiv-oai', '--set', '../x'],
      /--set is ..\/x; allowed: a set such as/,
    ],
    ['a port that is none', ['serve', '--port', '99999'], /--port is 99999/],
    [
      'a role that is none',
      ['role', 'ada@example.org', 'king'],
      /role is king; allowed: one of reader, author/,
    ],
    ['an address that is none', ['role', 'ada', 'admin'], /email is ada; allowed: a mail address/],
  ])('%s', async (_name, args, message) => {
    const paths = args.map((arg) =>
      /^(OUT|NONE|empty|nowhere\/out|[a-z]+\.(safetensors|png|txt))$/.test(arg) ? at(arg) : arg,
    );
    const words = await saccade(...paths);
    expect([words.code, words.error]).toEqual([2, expect.stringMatching(message)]);
    expect(words.out).toBe('');
    const machine = await saccade(...paths, '--json');
    expect(machine.code).toBe(2);
    expect(machine.out).toBe('');
    expect(JSON.parse(machine.error).error.message).toMatch(message);
    expect(existsSync(at('OUT'))).toBe(false);
  });

  test.each(['binary.txt', 'latin.txt', 'blank.txt'])('the text %s', async (name) => {
    const slug = papers.find((paper) => paper.inputs.includes('text'))!.slug;
    const { code, error } = await saccade('run', slug, '--text', at(name), '--device', 'reference');
    expect([code, error]).toEqual([2, expect.stringMatching(/text/)]);
  });
});

describe('the command as it is installed', () => {
  const bin = fileURLToPath(new URL('../bin/saccade.mjs', import.meta.url));
  const spawn = (...args: string[]) =>
    spawnSync(process.execPath, [bin, ...args], { encoding: 'utf8', timeout: 60_000 });

  test('has help and a version, and ends with the code of its command', () => {
    expect(spawn('--help')).toMatchObject({ status: 0, stdout: expect.stringContaining('Exit codes') });
    expect(spawn('--version')).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
    });
    expect(spawn('show', 'nope').status).toBe(2);
    expect(spawn().status).toBe(2);
  });

  test('devices --json names all three kinds', () => {
    const { stdout, status } = spawn('devices', '--json');
    expect(status).toBe(0);
    expect(JSON.parse(stdout).map((one: { device: string }) => one.device)).toEqual([
      'webgpu',
      'wasm',
      'reference',
    ]);
  });
});
