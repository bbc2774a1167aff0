// Holds every file of the site, each checked against its hash, and is the only source of files for its pages: what is not
// among them is refused, so that nothing can be sent or fetched after loading. `SITE` is written above by the build.

const NAME = `lesionlens ${self.registration.scope} `;
const CACHE = NAME + SITE.version;

self.addEventListener("install", (event) => event.waitUntil(install()));
self.addEventListener("activate", (event) => event.waitUntil(activate()));
self.addEventListener("fetch", (event) => event.respondWith(respond(event.request)));
self.addEventListener("message", ({ data }) => data === "use now" && self.skipWaiting());

async function install() {
  const cache = await caches.open(CACHE);
  const names = Object.keys(SITE.files).filter((name) => !SITE.optional.includes(name));
  await Promise.all(names.map((name) => keep(cache, name)));
}

/** Fetch one file and keep it; its bytes must be those of the build. */
async function keep(cache, name) {
  const response = await fetch(name, { cache: "no-cache", integrity: SITE.files[name] });
  if (!response.ok) throw new Error(`${name}: ${response.status}`);
  await cache.put(name, response.clone());
  return response;
}

/** Former versions of this site go once no page uses them; other sites of the same host are left alone. */
async function activate() {
  const former = (await caches.keys()).filter((name) => name.startsWith(NAME) && name !== CACHE);
  await Promise.all(former.map((name) => caches.delete(name)));
  await self.clients.claim();
}

async function respond(request) {
  const url = new URL(request.url);
  const name = url.href.startsWith(self.registration.scope) ? url.pathname.slice(new URL(self.registration.scope).pathname.length) : null;
  const file = name === "" ? "index.html" : name;
  if (request.method !== "GET" || !(file in SITE.files)) {
    return request.mode === "navigate" ? fetch(request) : Response.error(); // a page that is not ours may be opened
  }
  const cache = await caches.open(CACHE);
  const stored = (await cache.match(file)) ?? (await keep(cache, file));
  const headers = new Headers(stored.headers);
  for (const [header, value] of Object.entries(SITE.headers)) headers.set(header, value);
  return new Response(stored.body, { status: 200, headers });
}
