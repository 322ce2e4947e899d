/** The address users reach the API at, as an injectable value. */
export const PUBLIC_URL = Symbol("PUBLIC_URL");
