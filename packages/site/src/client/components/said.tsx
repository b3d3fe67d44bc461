/** What a reader wrote, rendered and sanitised by server/markdown.ts: the one place where text becomes HTML. */
export function Said({ html }: { html: string }) {
  // biome-ignore lint/security/noDangerouslySetInnerHtml: see above
  return <div className="said" dangerouslySetInnerHTML={{ __html: html }} />;
}
