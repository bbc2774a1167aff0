// Keeps the page's own files, so that an installed page opens while its server is away and can say so. Nothing else is
// stored: predictions, images and everything below v1/ pass by. The server's file is always preferred, so that nobody is
// held by an old page. `SHELL` is written above by the server.

const NAME = `lesionlens page ${self.registration.scope} `;
const CACHE = NAME + SHELL.version;

self.addEventListener("install", (event) => event.waitUntil(install()));
self.addEventListener("activate", (event) => event.waitUntil(activate()));
self.addEventListener("fetch", (event) => {
  const file = fileOf(event.request);
  if (file) event.respondWith(respond(event.request, file));
});

/** Keep all files of one version, or none: each is checked against its hash. */
async function install() {
  const cache = await caches.open(CACHE);
  await Promise.all(Object.entries(SHELL.files).map(([file, integrity]) => keep(cache, file, integrity)));
  await self.skipWaiting(); // its pages get their files from the server, whichever worker they have
}

async function keep(cache, file, integrity) {
  const response = await fetch(file, { cache: "no-cache", integrity });
  if (!response.ok) throw new Error(`${file}: ${response.status}`);
  await cache.put(file, response);
}

/** Former versions go; other pages of the same host are left alone. */
async function activate() {
  const former = (await caches.keys()).filter((name) => name.startsWith(NAME) && name !== CACHE);
  await Promise.all(former.map((name) => caches.delete(name)));
  await self.clients.claim();
}

/** Which file of the page is asked for; nothing for everything else. */
function fileOf({ method, url }) {
  const { scope } = self.registration;
  const { href, search } = new URL(url);
  if (method !== "GET" || search || !href.startsWith(scope)) return null;
  const name = href.slice(scope.length).split("#")[0] || "index.html";
  return name in SHELL.files ? name : null;
}

async function respond(request, file) {
  try {
    return await fetch(request);
  } catch (error) {
    const stored = await (await caches.open(CACHE)).match(file);
    if (!stored) throw error;
    return stored;
  }
}
