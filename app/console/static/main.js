// @ts-check
/** Starts the console with its views, one on each line. */
import { start } from "./shell/shell.js";

await start([
  { path: "learners", name: "nav.learners", scopes: ["learners:read"], load: () => import("./learners/view.js") },
  { path: "import", name: "nav.import", scopes: ["learners:bulk"], load: () => import("./imports/view.js") },
  { path: "operations", name: "nav.operations", scopes: ["learners:read", "learners:bulk"], load: () => import("./operations/view.js") },
  { path: "api-keys", name: "nav.api_keys", scopes: ["admin"], load: () => import("./api_keys/view.js") },
  { path: "webhooks", name: "nav.webhooks", scopes: ["admin"], load: () => import("./webhooks/view.js") },
  { path: "organization", name: "nav.organization", scopes: ["admin"], load: () => import("./organization/view.js") },
]);
