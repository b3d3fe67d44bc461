/** A mail to one address, as text and as HTML. Header fields never hold a line break: the mailer refuses them. */
export interface Message {
  to: string;
  subject: string;
  text: string;
  html: string;
  /** Unique, such as <digest-1@papers.example.org>; made up by the mailer where it is absent. */
  messageId?: string;
  /** Further header fields, such as List-Unsubscribe. */
  headers?: Readonly<Record<string, string>>;
}

export interface Mailer {
  /** 'smtp' hands mail to a server, 'outbox' keeps it as files that the admin page shows. */
  readonly kind: 'smtp' | 'outbox';
  /**
   * Resolves when the mail is handed over. Rejects with what the server said, or for a field with a line break.
   * @param handOver called when all is written but the end that makes it a mail; if it rejects nothing is sent. Whoever
   *   was killed before it resolved has sent nothing.
   */
  send(message: Message, handOver?: () => Promise<void>): Promise<void>;
  /** Kept mails, newest first; none where mail goes to a server. */
  kept(): Promise<KeptMessage[]>;
  /** Removes every kept mail to an address. */
  forget(address: string): Promise<void>;
  close(): void;
}

export interface KeptMessage extends Message {
  id: string;
  at: string;
}

/** @throws Error where a field that becomes a header holds a line break: it would begin a header of its own. */
export function refuseLineBreaks({ to, subject, messageId = '', headers = {} }: Message): void {
  for (const [name, value] of Object.entries({ to, subject, messageId, ...headers }))
    if (/[\r\n\0]/.test(name + value)) throw new Error(`mail: ${name} holds a line break; allowed: one line`);
}
