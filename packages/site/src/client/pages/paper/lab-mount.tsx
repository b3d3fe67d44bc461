import { labs } from '@saccade/papers/labs';
import { Component, type ComponentType, lazy, type ReactNode, Suspense, useEffect, useState } from 'react';

const loaded = new Map<string, ComponentType>();

/** The paper's lab: loaded when the page is open in a browser, never on the server. */
export function LabMount({ slug }: { slug: string }) {
  const [inBrowser, setInBrowser] = useState(false);
  useEffect(() => setInBrowser(true), []);
  const load = labs[slug];
  if (!load)
    return (
      <p className="notice">
        Its lab is not built yet. The mechanism runs from the command line:{' '}
        <code>npx saccade run {slug}</code>
      </p>
    );
  const waiting = (
    <div className="lab-waiting">
      <p>Loading the lab …</p>
      <noscript>The lab needs JavaScript; the rest of this page does not.</noscript>
    </div>
  );
  if (!inBrowser) return waiting;
  let Lab = loaded.get(slug);
  if (!Lab) {
    Lab = lazy(async () => ({ default: (await load()).Lab }));
    loaded.set(slug, Lab);
  }
  return (
    <LabFailure>
      <Suspense fallback={waiting}>
        <Lab />
      </Suspense>
    </LabFailure>
  );
}

class LabFailure extends Component<{ children: ReactNode }, { message: string | null }> {
  override state = { message: null as string | null };
  static getDerivedStateFromError(error: unknown) {
    return { message: error instanceof Error ? error.message : String(error) };
  }
  override render() {
    if (this.state.message === null) return this.props.children;
    return (
      <div className="notice" role="alert">
        <p>The lab stopped: {this.state.message}</p>
        <button type="button" onClick={() => this.setState({ message: null })}>
          Try again
        </button>
      </div>
    );
  }
}
