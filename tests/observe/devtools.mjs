// SPDX-License-Identifier: MIT
//
// Has Chrome DevTools' own loader read a heap snapshot: devtools.mjs LOADER SNAPSHOT NAME... prints
// as JSON what it says of the nodes of these names, with their retainers and their place of
// allocation. LOADER is the bundle that tools/get-clients makes of chrome-devtools-frontend.
import {createReadStream} from 'node:fs';
import {pathToFileURL} from 'node:url';

Promise.withResolvers ??= function() { // newer than some nodes
  const all = {};
  all.promise = new Promise((resolve, reject) => Object.assign(all, {resolve, reject}));
  return all;
};
const [bundle, file, ...names] = process.argv.slice(2);
const {HeapSnapshot, HeapSnapshotLoader} = await import(pathToFileURL(bundle));
const loader = new HeapSnapshotLoader.HeapSnapshotLoader({sendEvent() {}});
for await (const piece of createReadStream(file, 'utf8'))
  loader.write(piece);
loader.close();
const channel = new MessageChannel();
new HeapSnapshot.SecondaryInitManager(channel.port2);
const heap = await loader.buildSnapshot(channel.port1);
channel.port1.close();
channel.port2.close();

function describe(node) {
  const retainers = [];
  for (const all = node.retainers(); all.hasNext(); all.next())
    retainers.push([all.item().name(), all.item().node().name(), all.item().node().id()]);
  return {id: node.id(), name: node.name(), self: node.selfSize(), retained: node.retainedSize(),
          distance: node.distance(), retainers};
}

const found = [], node = heap.rootNode();
for (let ordinal = 0; ordinal < heap.nodeCount; ordinal++) {
  node.nodeIndex = ordinal * heap.nodeFieldCount;
  if (names.includes(node.name()))
    found.push(describe(node));
}
console.log(JSON.stringify({nodes: heap.nodeCount, size: heap.totalSize, found}));
