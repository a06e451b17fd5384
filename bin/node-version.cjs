// Loaded before rooms.ts, because an old version of Node cannot run TypeScript and would fail without an explanation.
const NEEDED = 24;
if (Number.parseInt(process.versions.node, 10) < NEEDED) {
  console.error(
    `This app needs Node ${NEEDED} or newer, but this is ${process.versions.node}. Run "npx cdk …", which uses the Node that "npm ci" installed.`,
  );
  process.exit(1);
}
