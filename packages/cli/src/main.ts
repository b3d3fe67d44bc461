import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { deviceKinds, tiers } from './choose.ts';
import { type AttendOptions, attendFile } from './commands/attend.ts';
import { type BackupOptions, backUp } from './commands/backup.ts';
import { type CheckOptions, check } from './commands/check.ts';
import { devices } from './commands/devices.ts';
import { type ImportOptions, importPapers, importSources } from './commands/import.ts';
import { list } from './commands/list.ts';
import { grantRole, type RoleOptions } from './commands/role.ts';
import { type RunOptions, run } from './commands/run.ts';
import { type ServeOptions, serve } from './commands/serve.ts';
import { show } from './commands/show.ts';
import { type TuneCommandOptions, tuneKernels } from './commands/tune.ts';
import { type WorkerOptions, worker } from './commands/worker.ts';
import { type Console, type Context, exitCodeOf, processConsole, reportError } from './console.ts';

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

/**
 * The `saccade` command.
 * @param args what follows the command's name
 * @returns the exit code: 0 done, 1 failed while running, 2 bad usage or bad input
 */
export async function main(args: readonly string[], console: Console = processConsole): Promise<number> {
  const cancel = new AbortController();
  const onInterrupt = () => {
    // The second Ctrl-C does not wait for a kernel to end.
    if (cancel.signal.aborted) process.exit(1);
    cancel.abort();
  };
  process.on('SIGINT', onInterrupt);
  process.on('SIGTERM', onInterrupt);
  const json = args.includes('--json');
  let code = 0;
  try {
    const program = build(console, { console, json, signal: cancel.signal }, (result) => {
      code = result;
    });
    await program.parseAsync([...args], { from: 'user' });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) return endOfParsing(error, args, { console, json });
    reportError({ console, json }, error);
    return exitCodeOf(error);
  } finally {
    process.off('SIGINT', onInterrupt);
    process.off('SIGTERM', onInterrupt);
  }
}

/** Help and version end parsing well; everything else is bad usage. */
function endOfParsing(
  error: CommanderError,
  args: readonly string[],
  context: Pick<Context, 'console' | 'json'>,
): number {
  if (error.exitCode === 0) return 0;
  if (args.length === 0) return 2;
  if (context.json) reportError(context, new Error(error.message.replace(/^error: /, '')));
  return 2;
}

function build(console: Console, context: Context, ended: (code: number) => void): Command {
  const program = new Command('saccade');
  program
    .description(
      'Attention papers that run: try one on your own input, compare it with dense attention, check its claims.',
    )
    .version(version)
    .configureOutput({
      writeOut: (text) => console.out(text),
      writeErr: (text) => {
        if (!context.json) console.error(text);
      },
    })
    .exitOverride();

  const withDevice = (command: Command) =>
    command
      .option('--device <kind>', `where to run: ${deviceKinds.join(', ')}`, 'auto')
      .option('--tier <tier>', `insists on a kind of kernel: ${tiers.join(', ')}`);
  const withJson = (command: Command) => command.option('--json', 'prints only JSON');
  const command = (usage: string, description: string) =>
    withJson(program.command(usage).description(description));

  command('list', 'lists the papers and says which of them run').action(() => list(context));
  command('show <slug>', 'shows a paper: facts, options, claims and what is not done').action(
    (slug: string) => show(context, slug),
  );
  withDevice(command('run <slug>', 'runs a mechanism beside dense attention on an image, a clip or a text'))
    .option('--image <file>', 'a picture (JPEG, PNG, WebP, …)')
    .option('--clip <file>', 'an animated GIF or WebP, or a folder of frames')
    .option('--text <file>', 'a text in UTF-8')
    .option('--frames <number>', 'frames side by side in a picture given as --clip')
    .option(
      '--grid <sizes>',
      'tokens along each axis, such as 32x32, or 8x16x16 for a clip, or 1024 for a text',
    )
    .option('--options <json>', "the paper's options, see `saccade show`")
    .option(
      '--out <file>',
      'writes q, k, v and both outputs as safetensors, or the outputs as a picture (.png)',
    )
    .action((slug: string, options: RunOptions) => run(context, slug, options));
  withDevice(command('attend <slug>', 'runs a mechanism on the tensors q, k, v of a safetensors file'))
    .requiredOption('--qkv <file>', 'q, k, v as [batch, heads, tokens, headDim], f32 or f16')
    .requiredOption('--out <file>', 'where `out` and `logSumExp` are written')
    .option('--options <json>', "the paper's options, see `saccade show`")
    .action((slug: string, options: AttendOptions) => attendFile(context, slug, options));
  withDevice(
    command(
      'check [slugs...]',
      "runs papers' claims as experiments and writes results/<machine>/<slug>.json",
    ),
  )
    .option('--all', 'all papers that run')
    .option('--quick', 'small shapes and few samples; the result is marked as such')
    .option('--machine <name>', 'a name for this machine instead of its GPU or processor')
    .option('--results <folder>', 'where results go instead of results/')
    .action(async (slugs: string[], options: CheckOptions) => ended(await check(context, slugs, options)));
  withDevice(command('worker [site]', "measures what a site's queue asks for and sends it back, signed"))
    .option(
      '--key <file>',
      "this machine's private key, made if missing; ~/.config/saccade/worker-key.pem by default",
    )
    .option('--show-key', 'prints the public key, which an admin of the site registers, and ends')
    .option('--machine <name>', 'a name for this machine instead of its GPU or processor')
    .option('--once', 'ends when nothing waits')
    .action((site: string | undefined, options: WorkerOptions) => worker(context, site, options));
  withDevice(command('tune', "times the tiles of this GPU's kernels and keeps the fastest for later runs"))
    .option('--head-dim <numbers>', 'channels of a head, 64,128 by default')
    .option('--dtype <names>', 'of the tensors, f16,f32 by default')
    .option('--mask <names>', 'dense,causal,blocks-64 by default; also gathered, band, ranges and more')
    .option('--tokens <numbers>', 'tokens of a call, 2048,8192 by default')
    .option('--heads <numbers>', 'batch times heads of a call, 16 by default')
    .option('--quick', 'headDim 64, dense and causal, 2048 tokens, unless said otherwise')
    .action(async (options: TuneCommandOptions) => ended(await tuneKernels(context, options)));
  command('devices', 'tells what this machine offers').action(() => devices(context));
  command('serve', 'serves the site')
    .option('--port <number>', 'port, 4173 by default')
    .option('--host <name>', 'host, localhost by default')
    .option('--data <folder>', 'where the database lies, ./data by default')
    .action(async (options: ServeOptions) => ended(await serve(context, options)));
  command('import <source>', `brings papers into the site: ${importSources.join(', ')}`)
    .option('--file <file>', 'reads this file instead of the network')
    .option('--from <day>', 'huggingface: the first day; arxiv-oai: changes since')
    .option('--to <day>', 'huggingface: the last day')
    .option('--categories <names>', 'arxiv-rss: such as cs.LG,cs.CV')
    .option('--query <words>', "arxiv: a question to its API, such as 'cat:cs.LG AND abs:attention'")
    .option('--most <number>', 'arxiv: at most so many papers, 100 by default')
    .option('--set <name>', 'arxiv-oai: such as cs:cs:LG')
    .option('--list', "puts the papers into today's edition")
    .option('--data <folder>', 'where the database lies, ./data by default')
    .action(async (source: string, options: ImportOptions) =>
      ended(await importPapers(context, source, options)),
    );
  command('role <email> <role>', 'gives an account of the site a role: reader, author, curator or admin')
    .option('--data <folder>', 'where the database lies, ./data by default')
    .action(async (email: string, role: string, options: RoleOptions) =>
      ended(await grantRole(context, email, role, options)),
    );
  command('backup <file>', 'writes everything that the site keeps to a file; the site may serve meanwhile')
    .option('--data <folder>', 'where the database lies, ./data by default')
    .action(async (file: string, options: BackupOptions) => backUp(context, 'backup', file, options));
  command('restore <file>', 'puts a backup in the place of what the site keeps; stop the site first')
    .option('--replace', 'also where there are accounts or subscribers')
    .option('--data <folder>', 'where the database lies, ./data by default')
    .action(async (file: string, options: BackupOptions) => backUp(context, 'restore', file, options));
  program.addHelpText(
    'after',
    `
Exit codes: 0 done, 1 failed while running, 2 bad usage or bad input.

Examples:
  saccade list
  saccade run fna --image photo.jpg
  saccade attend fna --qkv in.safetensors --out out.safetensors --device reference
  saccade check --all --quick`,
  );
  return program;
}
