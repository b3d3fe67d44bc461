import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';

/** A worker of tests: its public key, and messages that it signs. */
export function workerKey() {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const key = publicKey.export({ format: 'jwk' }).x!;
  const signatureOf = (body: string) => sign(null, Buffer.from(body), privateKey).toString('base64url');
  return {
    key,
    signatureOf,
    /** A message as it is sent: now, for the first time, unless the fields say otherwise. */
    message: (fields: object) => {
      const body = JSON.stringify({
        worker: key,
        at: new Date().toISOString(),
        nonce: randomBytes(18).toString('base64url'),
        ...fields,
      });
      return { body, headers: { 'Saccade-Signature': signatureOf(body) } };
    },
  };
}
