/** An empty function, which measures only Node's own time to load a file. */
export const handler = async () => ({ statusCode: 200 });
