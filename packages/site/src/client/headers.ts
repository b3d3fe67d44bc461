/** Lets the headers of a page's action out, such as Retry-After: a page's `headers`. */
export const actionHeaders = ({ actionHeaders }: { actionHeaders: Headers }): Headers => actionHeaders;
