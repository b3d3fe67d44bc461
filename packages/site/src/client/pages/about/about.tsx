export const meta = () => [{ title: 'About · Saccade' }];

export default function About() {
  return (
    <article className="page prose">
      <h1>About</h1>
      <p>
        A saccade is the jump of the eye to the next thing worth looking at. This site lists papers on
        attention, and for those marked <em>runs</em> it has the mechanism itself: live on your machine,
        beside dense attention, on your own picture, clip or text.
      </p>
      <h2>How verdicts are made</h2>
      <p>
        A claim is an experiment. Its threshold is written down before it is measured, in the paper’s folder,
        and the measurement is stored with its raw samples, the machine and the commit. There are five
        verdicts: <em>holds</em>, <em>holds in direction</em> (the sign is right, the size is not),{' '}
        <em>does not hold</em>, <em>not checkable here</em> (it needs data or machines that we do not have,
        and the reason is given), and <em>not yet measured</em>.
      </p>
      <h2>What runs where</h2>
      <p>
        Labs use WebGPU where your browser has it and WebAssembly where it has not, and say which. Queries and
        keys in the labs are fixed features of your input, not a trained model. Files you open stay in your
        browser.
      </p>
      <h2>What is ours</h2>
      <p>
        The summaries are written by us. Where a paper leaves something open and we had to choose, its page
        lists it as reconstructed. The list of papers comes from a Daily Papers page; author counts and dates
        that it does not give are shown as unknown.
      </p>
      <h2>Accounts</h2>
      <p>
        Reading needs none. An account is a mail address and a name: the address is for the link that logs you
        in, and nobody else sees it. Your account page gives you everything that is stored of you, and deletes
        it. Votes and comments of accounts that are labelled bots are not counted. What curators remove stays
        visible as removed, with their reason.
      </p>
      <h2>Where papers come from, and how to take them along</h2>
      <p>
        Titles and abstracts that were imported are shown as their authors wrote them, with their source;
        arXiv puts its metadata under CC0 1.0, the papers themselves are read there. Each list and each search
        is also a feed, at the foot of its page. A paper’s page has it as BibTeX, RIS, CSL-JSON and Markdown.
        Programs read <a href="/api/openapi.json">the API</a>, whose shapes are those of Hugging Face’s daily
        papers with what is known here beyond them under <code>saccade</code>.
      </p>
      <h2>How search ranks</h2>
      <p>
        By BM25 over titles, summaries, abstracts and authors, a word of the title counting three times, with
        a short list of words that mean much the same. Any word may match; a <em>“phrase”</em> must stand as
        it is, <code>-word</code> must not, <code>author:name</code> and <code>family:name</code> must fit. An
        arXiv id or address leads to its page. The cards’ small pictures are attention maps of the mechanism
        on a sample of its lab: a row a query, a column a key.
      </p>
      <h2>Papers by mail</h2>
      <p>
        Nothing comes before you have confirmed. Then it is one mail for each day that has papers, or one a
        week, without pixels or counted links. Each mail has a link that ends it; nothing of the subscription
        is kept after that.
      </p>
      <h2>Keys</h2>
      <p>
        <kbd>/</kbd> search · <kbd>j</kbd> and <kbd>k</kbd> next and previous paper · <kbd>?</kbd> this list
      </p>
    </article>
  );
}
