import { createPrivateKey, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { ArgumentError } from '@saccade/attention';

/** The key by which a measuring machine is known. */
export interface WorkerKey {
  /** 32 bytes as base64url: what an admin registers. */
  publicKey: string;
  /** A message with sender, time and a number used once, and its Ed25519 signature. */
  signed(fields: object): { body: string; signature: string };
}

/** Where a machine's key lies unless --key says otherwise. */
export const defaultKeyPath = (): string =>
  join(process.env.XDG_CONFIG_HOME || join(homedir(), '.config'), 'saccade/worker-key.pem');

/**
 * Reads a machine's private key, and makes one where there is none, which only its owner can read.
 * @throws ArgumentError where the file is there and is no Ed25519 key, or cannot be written
 */
export function openWorkerKey(path: string): WorkerKey {
  if (!existsSync(path)) make(path);
  let key: KeyObject;
  try {
    key = createPrivateKey(readFileSync(path));
  } catch (error) {
    throw new ArgumentError(
      'saccade',
      '--key',
      `${path} (${(error as Error).message})`,
      'a private key as PEM',
    );
  }
  if (key.asymmetricKeyType !== 'ed25519')
    throw new ArgumentError(
      'saccade',
      '--key',
      `${path}, a key of ${key.asymmetricKeyType}`,
      'an Ed25519 key',
    );
  const { x } = key.export({ format: 'jwk' });
  const publicKey = String(x);
  return {
    publicKey,
    signed: (fields) => {
      const nonce = randomBytes(18).toString('base64url');
      const body = JSON.stringify({ worker: publicKey, at: new Date().toISOString(), nonce, ...fields });
      return { body, signature: sign(null, Buffer.from(body), key).toString('base64url') };
    },
  };
}

function make(path: string): void {
  const { privateKey } = generateKeyPairSync('ed25519');
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    // `wx`: of two that begin at once one makes it, and the other reads that.
    writeFileSync(path, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600, flag: 'wx' });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return;
    throw new ArgumentError('saccade', '--key', `${path} (${code})`, 'a file that can be written');
  }
}
