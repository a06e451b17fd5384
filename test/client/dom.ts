import { Window } from 'happy-dom';

/*
 * Provides a DOM for React in Node. Only the names that React needs become global. fetch and WebSocket stay those of Node,
 * so the SDK connects to a real server. Import this before react-dom.
 */
const window = new Window({ url: 'http://127.0.0.1/' });
for (const name of ['document', 'HTMLElement', 'HTMLIFrameElement', 'Node', 'Element'] as const)
  Object.defineProperty(globalThis, name, { configurable: true, writable: true, value: Reflect.get(window, name) });
Object.defineProperty(globalThis, 'window', { configurable: true, writable: true, value: window });
