import { type Job, runner, type Start } from './wasm-run.ts';

/** One thread of the pool: runs the jobs it is sent on the shared memory. */
interface Port {
  postMessage(message: unknown): void;
  listen(receive: (message: Start | Job) => void): void;
}

function port(): Port {
  const node = globalThis.process?.getBuiltinModule?.('node:worker_threads')?.parentPort;
  if (node) {
    return {
      postMessage: (message) => node.postMessage(message),
      listen: (receive) => {
        node.on('message', receive);
      },
    };
  }
  const scope = globalThis as unknown as DedicatedWorkerGlobalScope;
  return {
    postMessage: (message) => scope.postMessage(message),
    listen: (receive) => {
      scope.onmessage = (event) => receive(event.data);
    },
  };
}

const main = port();
let run: ReturnType<typeof runner> | undefined;
main.listen(async (message) => {
  try {
    if ('memory' in message) {
      run = runner(message);
      main.postMessage('ready');
      return;
    }
    const kernel = await run!(message);
    kernel(message.params, message.scratch, 0x7fffffff);
    main.postMessage('done');
  } catch (error) {
    main.postMessage({ error: String(error) });
  }
});
