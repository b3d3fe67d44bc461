/** The version of package.json: what is kept between runs belongs to one version. */
export const version = '0.1.0';
