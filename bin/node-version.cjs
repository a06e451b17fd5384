// Loaded ahead of rooms.ts: a Node too old to run TypeScript could not say so itself.
const NEEDED = 24;
if (Number.parseInt(process.versions.node, 10) < NEEDED) {
  console.error(
    `This app needs Node ${NEEDED} or newer, and this is ${process.versions.node}: run it as "npx cdk …", which takes the Node that "npm ci" installed.`,
  );
  process.exit(1);
}
